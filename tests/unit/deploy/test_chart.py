"""The chart: valid for every version that it is for, confined, and in agreement with the service that it runs."""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from scripts.image.dockerfile import read

from llm_service import __version__
from llm_service.api.rest.routes import OPERATORS_PATHS
from llm_service.cli.health import LIVE, READY
from llm_service.config import Loaded, load_settings
from llm_service.observability.metrics import catalog
from llm_service.providers import TimeoutOptions
from llm_service.supervisor.supervise import LAST_S
from tests.support.certificates import certificate, needs_openssl
from tests.support.chart import ADMIN_KEY, CASES, CHART, PROVIDER_KEY, Rendered, Thing, has_helm, rendered
from tests.support.deploy import PROMETHEUS, RULE_FILES, yaml

OLDEST, NEWEST = "1.31", "1.37"
MONITORING = ("ServiceMonitor", "PrometheusRule")
SECRETS: Final = "/run/secrets/llm-service"
TLS: Final = "/etc/llm-service-tls"
MONITORING_SCHEMA = Path(__file__).with_name("monitoring.schema.json")
IMAGE = read()[-1]

pytestmark = [has_helm, needs_openssl]
cases = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def charts() -> dict[str, Rendered]:
    made = dict(zip(CASES, rendered([*CASES.values()]), strict=True))
    assert {name: one.refused for name, one in made.items() if one.refused} == {}
    return made


@pytest.fixture
def chart(charts: dict[str, Rendered], case: str) -> Rendered:
    return charts[case]


@pytest.fixture
def production(charts: dict[str, Rendered]) -> Rendered:
    return charts["production"]


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


# -- form


@cases
def test_helm_finds_nothing_to_warn_of(chart: Rendered) -> None:
    assert [one for one in chart.lint if one["error"] != "icon is recommended"] == []


@cases
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_is_valid_to_the_letter(chart: Rendered, version: str) -> None:
    import kubernetes_validate

    for thing in chart.things:
        if thing["kind"] not in MONITORING:
            kubernetes_validate.validate(thing, version, strict=True)


def test_the_versions_that_are_judged_are_the_ones_that_the_chart_is_for() -> None:
    import kubernetes_validate

    assert yaml(CHART / "Chart.yaml")["kubeVersion"] == f">={OLDEST}.0-0"
    assert kubernetes_validate.latest_version().startswith(NEWEST)


def test_a_field_that_there_is_not_is_found(production: Rendered) -> None:
    import kubernetes_validate

    changed = json.loads(json.dumps(production.one("StatefulSet")))
    changed["spec"]["template"]["spec"]["containers"][0]["readonlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readonlyRootFilesystem"):
        kubernetes_validate.validate(changed, NEWEST, strict=True)


def test_what_the_prometheus_operator_is_given_has_its_form(production: Rendered) -> None:
    judge = jsonschema.Draft202012Validator(json.loads(MONITORING_SCHEMA.read_text(encoding="utf-8")))
    things = production.all(*MONITORING)
    assert [thing["kind"] for thing in things] == [*MONITORING]
    for thing in things:
        judge.validate(thing)
        assert not judge.is_valid(thing | {"spec": thing["spec"] | {"endpoint": []}})


@cases
def test_no_two_objects_have_one_name_and_all_belong_to_the_release(chart: Rendered) -> None:
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in chart.things]
    assert len(set(names)) == len(names)
    for thing in chart.things:
        assert thing["metadata"]["labels"]["app.kubernetes.io/instance"] == "demo"


# -- what a pod may do


@cases
def test_every_container_is_confined_and_bounded(chart: Rendered) -> None:
    found = dict(containers(chart))
    assert len(found) >= 3
    for name, container in found.items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert "memory" in container["resources"]["limits"], name


@cases
def test_every_pod_is_the_images_user_and_nobody_to_the_cluster(chart: Rendered) -> None:
    user, _, group = IMAGE.last("USER").text.partition(":")
    for name, pod in chart.pods():
        spec = pod["spec"]
        context = spec["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (int(user), int(group), int(group))
        assert context["runAsNonRoot"] is True, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False), name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"}, name
        assert (
            not any("hostPath" in volume for volume in spec["volumes"] if "volumes" in spec) if "volumes" in spec else 1
        )
    for account in chart.all("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert chart.all("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") == []


@cases
def test_what_is_written_to_is_the_volume_and_memory(chart: Rendered) -> None:
    mounts = {one["mountPath"]: one for one in chart.service["volumeMounts"]}
    writable = {path for path, mount in mounts.items() if not mount.get("readOnly")}
    assert writable == {*IMAGE.last("VOLUME").words, "/tmp"}
    (tmp,) = (one["emptyDir"] for one in chart.pod["spec"]["volumes"] if one["name"] == "tmp")
    assert tmp["medium"] == "Memory"


# -- secrets


@cases
def test_no_secret_is_anywhere_but_in_a_secret(chart: Rendered) -> None:
    elsewhere = json.dumps([thing for thing in chart.things if thing["kind"] != "Secret"]) + chart.notes
    for value in (ADMIN_KEY, PROVIDER_KEY, "canary-slack"):
        assert value not in elsewhere
    for _, container in containers(chart):
        assert not any("valueFrom" in one for one in container.get("env", ())), "a secret in a variable is handed on"


@cases
def test_every_file_that_the_configuration_refers_to_is_there(chart: Rendered) -> None:
    files = secret_files(chart)
    referred = set(re.findall(rf"file:{SECRETS}/([\w.-]+)", chart.configuration))
    assert referred == set(files)
    own = {thing["metadata"]["name"]: set(thing["data"]) for thing in chart.all("Secret")}
    for name, (secret, key) in files.items():
        assert key in own[secret] if secret in own else secret in {"llm", "valkey-app", "pg-app"}, name


@cases
def test_its_own_user_may_read_the_secrets_and_no_other(chart: Rendered) -> None:
    for volume in chart.pod["spec"]["volumes"]:
        for source in ("projected", "secret"):
            if source in volume:
                assert volume[source]["defaultMode"] == 0o440, volume["name"]


# -- the service that it runs


@cases
def test_the_service_takes_the_configuration(chart: Rendered, tmp_path: Path) -> None:
    found = loaded(chart, tmp_path)
    settings = found.settings
    assert found.notes == ()
    assert (settings.sandbox, settings.auth.required) == ("off", "always")
    assert settings.auth.admin_key is not None
    assert settings.auth.admin_key.reveal() == value_of("admin-key")
    assert str(settings.server.data_dir).startswith(f"{IMAGE.last('VOLUME').words[0]}/")
    assert settings.providers


def test_both_stores_and_what_was_asked_for_reach_the_service(production: Rendered, tmp_path: Path) -> None:
    settings = loaded(production, tmp_path).settings
    assert settings.store.redis_url is not None
    assert settings.store.redis_url.reveal() == value_of("redis-url")
    assert settings.store.database_url is not None
    assert settings.store.database_url.reveal() == value_of("database-url")
    assert [key.reveal() for key in settings.auth.hash_key] == [value_of("hash-key"), value_of("other-hash-key")]
    assert (settings.server.workers, settings.cache.max_bytes) == (2, 134217728)
    assert [*settings.providers] == ["ollama", "openrouter"]
    assert (settings.observability.metrics_open, settings.server.fast_lane) == (False, False)
    assert settings.server.tls is not None
    assert TLS in {one["mountPath"] for one in production.service["volumeMounts"]}


@cases
def test_probes_ask_what_the_service_answers(chart: Rendered) -> None:
    paths = {kind: chart.service[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: asked["path"] for kind, asked in paths.items()} == {
        "startup": READY,
        "liveness": LIVE,
        "readiness": READY,
    }
    tls = any(one["name"] == "tls" for one in chart.pod["spec"]["volumes"])
    assert {(asked["port"], asked["scheme"]) for asked in paths.values()} == {("callers", "HTTPS" if tls else "HTTP")}


@cases
def test_ports_agree_from_the_setting_to_the_services(chart: Rendered, tmp_path: Path) -> None:
    server = loaded(chart, tmp_path).settings.server
    ports = {one["name"]: one["containerPort"] for one in chart.service["ports"]}
    assert ports == {"callers": server.port, "operators": server.admin_port}
    assert (server.host, server.admin_address) == ("0.0.0.0", "0.0.0.0")
    targets = {thing["metadata"]["name"]: thing["spec"]["ports"][0]["targetPort"] for thing in chart.all("Service")}
    assert targets == {
        "demo-llm-service": "callers",
        "demo-llm-service-pods": "callers",
        "demo-llm-service-operators": "operators",
    }


@cases
def test_each_grace_has_room_in_the_one_around_it(chart: Rendered, tmp_path: Path) -> None:
    settings = loaded(chart, tmp_path).settings
    before_s = chart.service["lifecycle"]["preStop"]["sleep"]["seconds"]
    probe = chart.service["readinessProbe"]
    assert before_s >= probe["periodSeconds"] * probe["failureThreshold"]
    at_most_s = before_s + settings.server.shutdown_grace_s + settings.ledger.shipping_grace_s + LAST_S
    assert chart.pod["spec"]["terminationGracePeriodSeconds"] > at_most_s


@cases
def test_a_journal_outlives_its_pod_and_is_found_again(chart: Rendered) -> None:
    spec = chart.one("StatefulSet")["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert not {"ReadWriteMany", "ReadOnlyMany"} & {*claim["spec"]["accessModes"]}
    for job in chart.all("Job"):
        ordinal = job["metadata"]["name"].rpartition("-")[2]
        (volume,) = (one for one in job["spec"]["template"]["spec"]["volumes"] if one["name"] == "data")
        claimed = f"{claim['metadata']['name']}-demo-llm-service-{ordinal}"
        assert volume["persistentVolumeClaim"] == {"claimName": claimed}


def test_a_job_ships_with_the_settings_of_the_service(production: Rendered) -> None:
    jobs = production.all("Job")
    assert len(jobs) == 2
    for job in jobs:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["usage", "ship", "--within", "600"]
        assert container["volumeMounts"] == production.service["volumeMounts"]
        assert container["env"] == production.service["env"]


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
    assert int(said["proxy-body-size"]) == server.max_body_bytes
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


# -- the chart itself


def test_its_versions_are_those_of_the_service() -> None:
    chart = yaml(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__), "run scripts/update-chart"
    assert chart["description"] == IMAGE.pairs("LABEL")["org.opencontainers.image.description"]


def test_every_value_says_what_it_is_for() -> None:
    """Each that is no group of values has a comment beside it, above it, or above those that it stands with."""
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    groups = [list(group) for blank, group in groupby(lines, key=lambda line: not line.strip()) if not blank]
    silent = [group[0] for group in groups if not any("#" in line for line in group)]
    assert silent == []


def test_the_schema_names_all_values_and_no_others() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml(CHART / "values.yaml")

    def compare(shape: Any, found: Any, path: str) -> list[str]:
        if "properties" not in shape:
            return []
        assert shape["additionalProperties"] is False, path
        wrong = [f"{path}.{name}" for name in shape["properties"].keys() ^ found.keys()]
        return wrong + [
            one
            for name in shape["properties"].keys() & found.keys()
            for one in compare(shape["properties"][name], found[name], f"{path}.{name}")
        ]

    assert compare(schema, values, "") == [".global"]
    jsonschema.Draft7Validator(schema).validate(json.loads(json.dumps(values)))


def test_people_are_told_how_to_go_on(production: Rendered, charts: dict[str, Rendered]) -> None:
    assert "https://llm.example.com/v1" in production.notes
    assert "custom.metrics.k8s.io" in production.notes
    assert "Keys and records are in SQLite" not in production.notes
    assert "Keys and records are in SQLite" in charts["minimal"].notes
    assert re.findall(r"\{\{|<no value>|%!", "".join(one.notes for one in charts.values())) == []
