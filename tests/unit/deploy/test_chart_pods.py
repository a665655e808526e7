"""The pods of the chart: confined, without a secret in the open, and in agreement with the service that they run."""

import json
import re
from pathlib import Path

from llm_service.cli.health import LIVE, READY
from llm_service.supervisor.supervise import LAST_S
from tests.support.certificates import needs_openssl
from tests.support.chart import ADMIN_KEY, PROVIDER_KEY, Rendered, cases, has_helm
from tests.support.chart_pods import IMAGE, SECRETS, TLS, containers, loaded, secret_files, value_of

pytestmark = [has_helm, needs_openssl]


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
