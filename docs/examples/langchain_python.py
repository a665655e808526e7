"""LangChain: a chain that streams, tools, and embeddings.

Start a service (./serve), then: pip install langchain-openai; python docs/examples/langchain_python.py
LLM_URL and LLM_KEY name another service and a key.
"""

import os

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

SERVICE = {
    "base_url": os.environ.get("LLM_URL", "http://127.0.0.1:8080") + "/v1",
    "api_key": os.environ.get("LLM_KEY", "local"),
}


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def main() -> None:
    # Waiting and trying again is the service's: it knows the other deployments of a model, and the budget of retries.
    chat = ChatOpenAI(model="deepseek/deepseek-flash", max_retries=0, stream_usage=True, **SERVICE)

    chain = ChatPromptTemplate.from_template("What is {sum}?") | chat | StrOutputParser()
    print("chain:", "".join(chain.stream({"sum": "12 * 12"})))

    called = chat.bind_tools([get_weather]).invoke("What is the weather in Oslo?").tool_calls
    print("tools:", [(call["name"], call["args"], get_weather.invoke(call).content) for call in called])

    # LangChain sends numbers of tokens unless told not to, which models of other providers would not understand.
    embeddings = OpenAIEmbeddings(model="openai/text-embedding-3-small", check_embedding_ctx_length=False, **SERVICE)
    print("embeddings:", len(embeddings.embed_documents(["one", "two"])), "vectors")


if __name__ == "__main__":
    main()
