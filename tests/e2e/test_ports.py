"""TLS, and a port of their own for operators: the whole program with two workers, by the clients that people use."""

import asyncio
import signal
import ssl
from pathlib import Path

import httpx
import openai
import orjson
import pytest
from websockets.asyncio.client import connect

from tests.support.certificates import Certificate, certificate, needs_openssl
from tests.support.process import Serving, place, run, serving
from tests.support.workers import said

pytestmark = needs_openssl
KEY = "sk-test-admin-of-ports-0123456789"
CHAT = {"model": "openai/sandbox/chat", "messages": [{"role": "user", "content": "Hello"}]}
CONFIG = """
sandbox: on
server: {{admin_port: 0, workers: 2, tls: {{cert: own.pem, key: own.key}}}}
auth: {{admin_key: {key}, required: always}}
"""


def put(folder: Path, own: Certificate) -> None:
    """Where the settings say that the certificate is."""
    (folder / "own.pem").write_bytes(own.cert.read_bytes())
    (folder / "own.key").write_bytes(own.key.read_bytes())


def shown(address: str, own: Certificate) -> bytes:
    """Which certificate is shown to who connects now."""
    host, _, port = address.removeprefix("https://").rpartition(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port)), ca_certs=str(own.cert)))


async def spoken(address: str, trusted: ssl.SSLContext) -> list[str]:
    """What a WebSocket over TLS answers to a chat."""
    headers = {"Authorization": f"Bearer {KEY}"}
    url = address.replace("https", "wss", 1) + "/v1/ws"
    async with connect(url, ssl=trusted, additional_headers=headers, proxy=None) as socket:
        await socket.send(orjson.dumps({"type": "chat.create", "id": "a", "request": CHAT}).decode())
        kinds = []
        while not kinds or kinds[-1] not in ("chat.done", "error"):
            kinds.append(orjson.loads(await socket.recv())["type"])
        return kinds


async def check_ports(service: Serving, client: httpx.AsyncClient) -> None:
    """Each port answers what is its own, in every door."""
    public, admin = service.address, str(service.banner["admin_address"])
    authorized = {"Authorization": f"Bearer {KEY}"}
    for path in ("/admin/config", "/admin/keys", "/metrics", "/dashboard", "/dashboard/session", "/admin/events"):
        elsewhere = await client.get(public + path, headers=authorized)
        assert elsewhere.status_code == 404, path
        assert elsewhere.json()["error"]["code"] == "not_found"
    for path in ("/admin/config", "/metrics", "/dashboard", "/v1/models"):
        assert (await client.get(admin + path, headers=authorized)).status_code == 200, path
    for address in (public, admin):
        report = (await client.get(f"{address}/health")).json()
        assert report["admin_port"] == int(admin.rpartition(":")[2])
    asked = {"query": "{ keys { edges { node { id } } } me { keyId } }"}
    there = (await client.post(f"{admin}/graphql", json=asked, headers=authorized)).json()
    here = (await client.post(f"{public}/graphql", json=asked, headers=authorized)).json()
    assert "errors" not in there
    assert [error["extensions"]["code"] for error in here["errors"]] == ["not_found"]


async def test_the_program_speaks_tls_and_keeps_operators_apart(tmp_path: Path) -> None:
    first, second = certificate(tmp_path, "first"), certificate(tmp_path, "second")
    put(tmp_path, first)
    (tmp_path / "llm-service.yaml").write_text(CONFIG.format(key=KEY))
    with serving(place(tmp_path)) as service:
        assert service.address.startswith("https://")
        async with httpx.AsyncClient(verify=first.trusted()) as http:
            await check_ports(service, http)
            client = openai.AsyncOpenAI(base_url=f"{service.address}/v1", api_key=KEY, http_client=http)
            answers = await asyncio.gather(*(client.chat.completions.create(**CHAT) for _ in range(6)))  # type: ignore[call-overload]
            assert all(answer.choices[0].message.content for answer in answers)
            stream = await client.chat.completions.create(**CHAT, stream=True)  # type: ignore[call-overload]
            assert [chunk async for chunk in stream]
            assert (await spoken(service.address, first.trusted()))[-1] == "chat.done"
            put(tmp_path, second)
            service.child.signal(signal.SIGHUP)
            await said(service, "reloaded")
            for address in (service.address, str(service.banner["admin_address"])):
                assert {shown(address, second) for _ in range(6)} == {second.der}
            kept = await http.get(f"{service.address}/health")  # over a connection of before
            assert (kept.status_code, kept.headers["strict-transport-security"]) == (200, "max-age=31536000")
            (tmp_path / "own.key").write_bytes(first.key.read_bytes())
            service.child.signal(signal.SIGHUP)
            refused = await said(service, "reload refused")
            assert "server.tls.key does not belong to the certificate" in str(refused["reasons"])
            assert shown(service.address, second) == second.der
        assert KEY not in service.child.err.text


@pytest.mark.parametrize(
    ("server", "said_of_it"),
    [
        ("{admin_host: 127.0.0.1}", "server.admin_host is the address of server.admin_port, which is not set"),
        ("{port: 9, admin_port: 9}", "server.admin_port is server.port"),
        ("{admin_port: 9, admin_host: 0.0.0.0}", "server.admin_host is not a loopback address"),
        ("{tls: {cert: none.pem, key: none.key}}", "server.tls.cert cannot be read: No such file or directory"),
        ("{tls: {cert: none.pem}}", "server.tls needs key"),
    ],
)
def test_what_is_wrong_with_the_ports_is_said_before_they_are_opened(
    tmp_path: Path, server: str, said_of_it: str
) -> None:
    (tmp_path / "llm-service.yaml").write_text(f"sandbox: on\nserver: {server}\n")
    finished = run(place(tmp_path), "check-config")
    assert finished.code != 0
    assert said_of_it in finished.out + finished.err
