"""What a pod of the chart is and gets, and what its service makes of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.image.dockerfile import read

from llm_service.config import Loaded, load_settings
from tests.support.certificates import certificate
from tests.support.chart import Rendered, Thing

SECRETS: Final = "/run/secrets/llm-service"
TLS: Final = "/etc/llm-service-tls"
IMAGE = read()[-1]


def containers(chart: Rendered) -> Iterator[tuple[str, Thing]]:
    for name, pod in chart.pods():
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
            yield f"{name}/{container['name']}", container


def loaded(chart: Rendered, folder: Path) -> Loaded:
    """The settings of a pod: its variables, its file, and a file for each secret that it is given."""
    for name in secret_files(chart):
        (folder / name).write_text(value_of(name), encoding="utf-8")
    if TLS in chart.configuration:
        made = certificate(folder, "test")
        made.cert.rename(folder / "tls.crt")
        made.key.rename(folder / "tls.key")
    file = folder / "llm-service.yaml"
    text = chart.configuration.replace(f"file:{SECRETS}/", f"file:{folder}/").replace(TLS, str(folder))
    file.write_text(text, encoding="utf-8")
    variables = IMAGE.pairs("ENV") | {one["name"]: one["value"] for one in chart.service["env"]}
    environ = {name: value for name, value in variables.items() if name.startswith("LLM_SERVICE_")}
    return load_settings(path=file, environ=environ, cwd=folder, overrides={})


def value_of(name: str) -> str:
    urls = {
        "redis-url": "redis://:test@valkey:6379/0",
        "database-url": "postgresql://test:test@pg-rw:5432/llm?sslmode=require",
        "slack": "https://hooks.example.com/test",
    }
    return urls.get(name, f"sk-test-{name}-0123456789-0123456789")


def secret_files(chart: Rendered) -> dict[str, tuple[str, str]]:
    """The secrets that a pod sees, by the name of the file: where each comes from."""
    (volume,) = (one for one in chart.pod["spec"]["volumes"] if one["name"] == "secrets")
    sources = [source["secret"] for source in volume["projected"]["sources"]]
    return {item["path"]: (one["name"], item["key"]) for one in sources for item in one["items"]}


def selects(labels: dict[str, str], pod: Thing) -> bool:
    return labels.items() <= pod["metadata"]["labels"].items()
