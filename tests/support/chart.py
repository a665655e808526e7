"""The chart of deploy/helm as Helm renders it: one run of Helm for all that is asked at once."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from llm_service.domain import fact
from tests.support.deploy import DEPLOY

CHART = DEPLOY / "helm" / "llm-service"
PACKAGES = ("helm_python", "kubernetes_validate")
has_helm = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in PACKAGES),
    reason="the packages of the group deploy are not installed",
)
Values = Mapping[str, Any]
Thing = dict[str, Any]

ADMIN_KEY = "sk-test-admin-key-of-a-chart-0123456789"
PROVIDER_KEY = "sk-test-openrouter"
MINIMAL: Values = {"secrets": {"values": {"admin-key": ADMIN_KEY, "provider-openrouter": PROVIDER_KEY}}}
SHARED: Values = {
    "admin-key": {"secret": "llm", "key": "admin"},
    "hash-key": {"secret": "llm", "key": "hash"},
    "redis-url": {"secret": "valkey-app", "key": "url"},
    "database-url": {"secret": "pg-app", "key": "uri"},
}
EXISTING: Values = {
    "replicas": 2,
    "secrets": {"existing": {**SHARED, "provider-deepseek": {"secret": "llm", "key": "deepseek"}}},
    "serviceAccount": {"create": False},
    "networkPolicy": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
    "restartOnChange": False,
}
PRODUCTION: Values = {
    "image": {"repository": "registry.example.com/llm-service", "digest": f"sha256:{'0' * 64}"},
    "pullSecrets": [{"name": "registry"}],
    "workers": 2,
    "secrets": {
        "values": {"provider-openrouter": PROVIDER_KEY, "slack": "https://hooks.example.com/canary-slack"},
        "existing": {**SHARED, "other-hash-key": {"secret": "llm", "key": "former-hash"}},
    },
    "config": {
        "server": {"max_body_bytes": 20971520, "fast_lane": False},
        "cache": {"max_bytes": 134217728},
        "limits": {"global": {"budget_usd": "1000.00", "budget_period": "month"}},
        "providers": {"ollama": {"base_url": "http://ollama.models:11434/v1"}},
        "models": {"fast": {"deployments": [{"provider": "openrouter", "model": "deepseek/deepseek-v4-flash"}]}},
        "notifiers": {"ops": {"kind": "slack", "webhook_url": "file:/run/secrets/llm-service/slack"}},
        "observability": {"metrics_open": False},
    },
    "tls": {"secret": "llm-pods-tls"},
    "service": {"type": "LoadBalancer", "annotations": {"a": "b"}, "loadBalancerSourceRanges": ["10.0.0.0/8"]},
    "operators": {"port": 9000, "annotations": {"a": "b"}},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "hosts": ["llm.example.com"],
        "tls": [{"secretName": "llm-example-com", "hosts": ["llm.example.com"]}],
        "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
    },
    "autoscaling": {"enabled": True},
    "networkPolicy": {"egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 11434, "protocol": "TCP"}]}]},
    "monitoring": {
        "job": "llm-prod",
        "serviceMonitor": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "authorization": {"credentials": {"name": "llm-reader", "key": "key"}},
        },
        "rules": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "serviceAccount": {"name": "gateway", "annotations": {"a": "b"}},
    "volume": {"storageClass": "fast", "accessModes": ["ReadWriteOncePod"]},
    "topologySpreadConstraints": [
        {"topologyKey": "kubernetes.io/hostname", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "nodeSelector": {"pool": "gateways"},
    "tolerations": [{"key": "gateways", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "high",
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "platform"},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "company-ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/company-ca", "readOnly": True}],
    "ship": {"ordinals": [3, 4]},
}
CASES: Mapping[str, Values] = {"minimal": MINIMAL, "existing": EXISTING, "production": PRODUCTION}
cases = pytest.mark.parametrize("case", CASES)
"""Of a test that asks for the fixture ``chart``."""


@fact
class Rendered:
    """What Helm makes of values: ``notes`` are for people, ``refused`` says why there is nothing."""

    things: Sequence[Thing]
    notes: str = ""
    refused: str = ""
    lint: Sequence[Thing] = ()

    def all(self, *kinds: str) -> list[Thing]:
        return [thing for thing in self.things if thing["kind"] in kinds]

    def one(self, kind: str, ending: str = "") -> Thing:
        (found,) = (thing for thing in self.all(kind) if thing["metadata"]["name"] == f"demo-llm-service{ending}")
        return found

    def pods(self) -> Iterator[tuple[str, Thing]]:
        """Every pod that may come of it, by the name of its thing."""
        for thing in self.all("StatefulSet", "Job"):
            yield thing["metadata"]["name"], thing["spec"]["template"]
        for thing in self.all("Pod"):
            yield thing["metadata"]["name"], thing

    @property
    def pod(self) -> Thing:
        template: Thing = self.one("StatefulSet")["spec"]["template"]
        return template

    @property
    def service(self) -> Thing:
        (container,) = self.pod["spec"]["containers"]
        found: Thing = container
        return found

    @property
    def configuration(self) -> str:
        text: str = self.one("ConfigMap")["data"]["llm-service.yaml"]
        return text


def rendered(cases: Sequence[Values]) -> list[Rendered]:
    program = Path(__file__).with_name("chart_program.py")
    asked = json.dumps({"chart": str(CHART), "cases": cases})
    done = subprocess.run(
        (sys.executable, "-P", str(program)), input=asked, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [_read(answer) for answer in json.loads(done.stdout)]


def _read(answer: Thing) -> Rendered:
    if "refused" in answer:
        return Rendered(things=(), refused=answer["refused"])
    files = answer["files"]
    things = [thing for name, text in files.items() if name.endswith(".yaml") for thing in _documents(text)]
    notes = next(text for name, text in files.items() if name.endswith("NOTES.txt"))
    return Rendered(things=things, notes=notes, lint=answer["lint"]["messages"])


def _documents(text: str) -> Iterator[Thing]:
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 1)  # as Kubernetes reads it: 0440 is octal there, and `off` no word
    yield from (document for document in reader.load_all(text) if document)
