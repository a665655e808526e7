"""The chart in its cluster: who finds and reaches whom, when there are more pods, what watches, what a change does."""

import json
from pathlib import Path
from typing import Any

from llm_service.api.rest.routes import OPERATORS_PATHS
from llm_service.observability.metrics import catalog
from llm_service.providers import TimeoutOptions
from tests.support.certificates import needs_openssl
from tests.support.chart import CASES, CHART, Rendered, cases, has_helm, rendered
from tests.support.chart_pods import loaded, selects
from tests.support.deploy import PROMETHEUS, RULE_FILES, yaml

pytestmark = [has_helm, needs_openssl]


# -- who finds whom


@cases
def test_services_find_the_pods_that_serve_and_no_others(chart: Rendered) -> None:
    pods = dict(chart.pods())
    for service in chart.all("Service"):
        found = [name for name, pod in pods.items() if selects(service["spec"]["selector"], pod)]
        assert found == ["demo-llm-service"]
    spec = chart.one("StatefulSet")["spec"]
    assert selects(spec["selector"]["matchLabels"], chart.pod)
    assert chart.one("Service", "-pods")["spec"]["clusterIP"] == "None"
    assert spec["serviceName"] == "demo-llm-service-pods"
    for budget in chart.all("PodDisruptionBudget"):
        assert selects(budget["spec"]["selector"]["matchLabels"], chart.pod)


def test_pods_are_spread_by_their_own_labels(charts: dict[str, Rendered]) -> None:
    constraints = charts["minimal"].pod["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for one in constraints:
        assert selects(one["labelSelector"]["matchLabels"], charts["minimal"].pod)


def test_callers_and_operators_come_by_ports_of_their_own(charts: dict[str, Rendered]) -> None:
    policy = charts["minimal"].one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    peers = {rule["ports"][0]["port"]: rule["from"] for rule in policy["ingress"]}
    assert peers.keys() == {"callers", "operators"}
    assert {"podSelector": {}} in peers["operators"]
    assert {"namespaceSelector": {}} not in peers["operators"]
    test = charts["minimal"].one("Pod", "-test")
    for allowed in peers.values():
        assert any(selects(peer.get("podSelector", {}).get("matchLabels", {"no": ""}), test) for peer in allowed)


def test_a_policy_is_about_the_pods_that_serve_or_ship(production: Rendered) -> None:
    policy = production.one("NetworkPolicy")["spec"]
    (among,) = policy["podSelector"]["matchExpressions"]
    meant = [
        name
        for name, pod in production.pods()
        if selects(policy["podSelector"]["matchLabels"], pod)
        and pod["metadata"]["labels"]["app.kubernetes.io/component"] in among["values"]
    ]
    assert meant == ["demo-llm-service-ship-3", "demo-llm-service-ship-4", "demo-llm-service"]
    assert len(policy["egress"]) == 4


def test_the_metadata_of_a_cloud_is_out_of_reach(charts: dict[str, Rendered]) -> None:
    blocks = [
        peer["ipBlock"]
        for rule in charts["minimal"].one("NetworkPolicy")["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    wide = [block for block in blocks if block["cidr"] in ("0.0.0.0/0", "::/0")]
    assert len(wide) == 2
    assert {"169.254.0.0/16", "10.0.0.0/8"} <= {*wide[0]["except"]}


def test_an_ingress_neither_buffers_nor_cuts(production: Rendered, tmp_path: Path) -> None:
    ingress = production.one("Ingress")
    said = {name.partition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    server = loaded(production, tmp_path).settings.server
    assert (said["proxy-buffering"], said["proxy-request-buffering"]) == ("off", "off")
    assert int(said["proxy-read-timeout"]) > max(TimeoutOptions().total_s, server.keep_alive_s)
    assert int(said["proxy-body-size"]) == server.max_body_bytes + 2**20
    assert said["backend-protocol"] == "HTTPS"
    (backend,) = (path["backend"]["service"] for path in ingress["spec"]["rules"][0]["http"]["paths"])
    (port,) = production.one("Service")["spec"]["ports"]
    assert backend == {"name": "demo-llm-service", "port": {"name": port["name"]}}


# -- scaling and watching


def test_it_is_scaled_by_a_figure_that_there_is_and_down_slowly(production: Rendered) -> None:
    scaler = production.one("HorizontalPodAutoscaler")["spec"]
    target = production.one("StatefulSet")
    assert (scaler["scaleTargetRef"]["kind"], scaler["scaleTargetRef"]["name"]) == (
        target["kind"],
        target["metadata"]["name"],
    )
    assert "replicas" not in target["spec"], "the chart and the autoscaler would take turns"
    metrics = {one["type"]: one for one in scaler["metrics"]}
    assert metrics["Pods"]["pods"]["metric"]["name"] in catalog.ALL
    assert metrics.keys() == {"Pods", "Resource"}
    down, up = scaler["behavior"]["scaleDown"], scaler["behavior"]["scaleUp"]
    assert down["stabilizationWindowSeconds"] >= production.pod["spec"]["terminationGracePeriodSeconds"]
    assert [one["type"] for one in down["policies"]] == ["Pods"]
    assert up["stabilizationWindowSeconds"] == 0


def test_prometheus_asks_where_operators_are_answered(production: Rendered) -> None:
    monitor = production.one("ServiceMonitor")["spec"]
    found = [
        one
        for one in production.all("Service")
        if monitor["selector"]["matchLabels"].items() <= one["metadata"]["labels"].items()
    ]
    assert [one["metadata"]["name"] for one in found] == ["demo-llm-service-operators"]
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] == found[0]["spec"]["ports"][0]["name"]
    assert endpoint["path"] in OPERATORS_PATHS
    assert {one["targetLabel"]: one.get("replacement") for one in endpoint["relabelings"]} == {
        "job": "llm-prod",
        "instance": None,
    }


def test_the_rules_are_those_of_prometheus_itself(production: Rendered) -> None:
    assert [path.name for path in sorted((CHART / "rules").iterdir())] == [path.name for path in RULE_FILES]
    for path in RULE_FILES:
        assert (CHART / "rules" / path.name).read_bytes() == path.read_bytes(), "run scripts/update-chart"
    groups = [
        group for name in ("recording", "llm-service") for group in yaml(PROMETHEUS / "rules" / f"{name}.yml")["groups"]
    ]
    given = json.dumps(production.one("PrometheusRule")["spec"]["groups"])
    assert json.loads(given.replace("llm-prod", "llm-service")) == groups
    assert given.count("llm-prod") == 3


# -- changes


def test_pods_are_replaced_when_what_they_are_told_changes(charts: dict[str, Rendered]) -> None:
    def marks(chart: Rendered) -> Any:
        return [chart.pod["metadata"]["annotations"].get(f"llm-service/{of}") for of in ("config", "secrets")]

    values = json.loads(json.dumps(CASES["minimal"]))
    configured = values | {"config": {"cache": {"enabled": False}}}
    rekeyed = {"secrets": {"values": values["secrets"]["values"] | {"admin-key": "sk-test-another-admin-key"}}}
    scaled = values | {"volume": {"size": "4Gi"}}
    before = marks(charts["minimal"])
    changed = [marks(chart) for chart in rendered([configured, rekeyed, scaled])]
    assert [[one != was for one, was in zip(after, before, strict=True)] for after in changed] == [
        [True, False],
        [False, True],
        [False, False],
    ]
    assert marks(charts["existing"]) == [None, None]
