"""The WebSocket: several answers at once over one connection, one of them cancelled.

Start a service (./serve), then: pip install websockets; python docs/examples/websocket_python.py
LLM_URL and LLM_KEY name another service and a key.
"""

import asyncio
import json
import os

from websockets.asyncio.client import ClientConnection, connect

URL = os.environ.get("LLM_URL", "http://127.0.0.1:8080").replace("http", "ws", 1) + "/v1/ws"
KEY = os.environ.get("LLM_KEY", "local")
QUESTIONS = {"sum": "What is 12 * 12?", "sky": "Why is the sky blue?", "story": "Tell me a long story about rivers."}


async def send(socket: ClientConnection, **frame: object) -> None:
    await socket.send(json.dumps(frame))


async def main() -> None:
    texts, ended, cancelled = dict.fromkeys(QUESTIONS, ""), 0, False
    async with connect(URL) as socket:
        await send(socket, type="auth", key=KEY)
        for name, question in QUESTIONS.items():
            request = {"model": "deepseek/deepseek-flash", "messages": [{"role": "user", "content": question}]}
            await send(socket, type="chat.create", id=name, request=request)
        async for message in socket:
            frame = json.loads(message)
            name = frame.get("id")
            if frame["type"] == "chat.chunk":
                for choice in frame["chunk"]["choices"]:
                    texts[name] += choice["delta"].get("content") or ""
                if name == "story" and not cancelled:
                    cancelled = True
                    await send(socket, type="chat.cancel", id=name)  # its provider stops; what came is charged
            elif frame["type"] in ("chat.done", "error"):
                told = frame.get("cost_usd") or frame.get("error", {}).get("code")
                print(f"{name}: {frame['type']} {told} {texts[name][:40]!r}")
                ended += 1
            if ended == len(QUESTIONS):
                return


if __name__ == "__main__":
    asyncio.run(main())
