"""Compose: its form, what each container may do, who reaches whom, and that nothing starts without secrets."""

import json
import re
import stat
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from scripts.image.dockerfile import read

from llm_service import __version__
from llm_service.config import load_settings
from tests.support.compose import (
    COMPOSE,
    ENVIRONMENTS,
    HINT,
    OVERRIDES,
    VARIABLE,
    MissingVariableError,
    filled,
    joined,
    texts,
)
from tests.support.deploy import CHECKOUT, DASHBOARDS, DEPLOY, RULE_FILES, yaml

SCHEMA_FILE = Path(__file__).parent / "compose.schema.json"
# Of the Compose Specification (Apache-2.0), as check-jsonschema 0.39.0 carries it.
SCHEMA_SHA256 = "d549057ebc2925f39f62799eab0db7b9e2c18b35b6c00595199116da3ed10e64"
SCRIPT = CHECKOUT / "scripts" / "compose-env"
WHOLE_VERSION = re.compile(r"[\w./-]+:v?\d+(\.\d+){1,2}(-[a-z]+[\d.]*)?")
STORES = ("valkey", "postgres")
environments = pytest.mark.parametrize("environment", ENVIRONMENTS)


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def written(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A run of scripts/compose-env that writes to a folder."""
    own = {"PATH": "/usr/bin:/bin", "LLM_ENV_FILE": str(folder / ".env"), **variables}
    return subprocess.run((SCRIPT, *arguments), env=own, capture_output=True, text=True, check=False)


def variables_of(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value.strip("'") for name, _, value in pairs}


# -- form


def test_the_schema_is_the_one_that_was_taken_over() -> None:
    assert sha256(SCHEMA_FILE.read_bytes()).hexdigest() == SCHEMA_SHA256


@pytest.mark.parametrize("path", [COMPOSE, *OVERRIDES.values()], ids=lambda path: path.stem)
def test_a_file_has_the_form_of_the_specification(path: Path, schema: Any) -> None:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(json.loads(json.dumps(yaml(path))))
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_another_form_is_refused(schema: Any) -> None:
    mistaken = {"services": {"service": {"image": "a", "read_onyl": True}}}
    assert not jsonschema.Draft202012Validator(schema).is_valid(mistaken)


# -- what a container may do


@environments
def test_every_container_is_confined_and_bounded(environment: str) -> None:
    for name, service in joined(environment)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}, name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        user = read()[-1].last("USER").text if name == "service" else service["user"]
        assert int(user.partition(":")[0]) > 0, name


@environments
def test_no_container_gets_the_socket_of_the_engine_or_a_folder_to_write_to(environment: str) -> None:
    for name, service in joined(environment)["services"].items():
        for volume in service["volumes"]:
            source, target, *mode = filled(volume, {"LLM_ENVIRONMENT": environment}).split(":")
            if source.startswith("."):
                assert (CHECKOUT / source).exists(), source
                assert mode == ["ro"], (name, target)
            else:
                assert source in joined(environment)["volumes"], source


@environments
def test_every_image_is_pinned_by_its_whole_version(environment: str) -> None:
    images = {name: filled(service["image"], {}) for name, service in joined(environment)["services"].items()}
    assert [image for image in images.values() if not WHOLE_VERSION.fullmatch(image)] == []
    assert images["service"] == f"llm-service:{__version__}"


# -- who reaches whom


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_stores_are_reached_by_the_service_alone(environment: str) -> None:
    compose = joined(environment)
    for name in STORES:
        assert compose["services"][name]["networks"] == ["stores"]
        assert "ports" not in compose["services"][name]
    assert compose["networks"]["stores"] == {"internal": True}
    there = {name for name, service in compose["services"].items() if "stores" in service["networks"]}
    assert there == {"service", *STORES}


@environments
def test_what_is_published_is_published_to_this_machine_unless_somebody_says_otherwise(environment: str) -> None:
    for service in joined(environment)["services"].values():
        for port in service.get("ports", ()):
            assert filled(port, {}).startswith("127.0.0.1:"), port
    assert filled(yaml(COMPOSE)["services"]["service"]["ports"][0], {"LLM_BIND": "0.0.0.0"}) == "0.0.0.0:8080:8080"


@environments
def test_prometheus_asks_where_operators_are_answered_and_nobody_else_can(environment: str) -> None:
    services = joined(environment)["services"]
    assert {name for name, service in services.items() if "metrics" in service["networks"]} == {"service", "prometheus"}
    assert joined(environment)["networks"]["metrics"] == {"internal": True}
    (target,) = yaml(DEPLOY / "compose" / "prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    port = yaml(DEPLOY / "configurations" / f"{environment}.yaml")["server"]["admin_port"]
    assert target == f"service:{port}"
    assert services["service"]["environment"]["LLM_SERVICE_SERVER__ADMIN_HOST"] == "0.0.0.0"


# -- that it starts in order and ends in order


@environments
def test_who_waits_for_another_to_be_well_is_told_when_it_is(environment: str) -> None:
    services = joined(environment)["services"]
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other]
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"service"}
    assert read()[-1].last("HEALTHCHECK").words[-1] == "health"
    assert services["service"]["depends_on"].keys() == set(STORES)


@environments
def test_streams_may_finish_before_the_container_is_killed(environment: str) -> None:
    patience_s = int(joined(environment)["services"]["service"]["stop_grace_period"].removesuffix("s"))
    assert patience_s > yaml(DEPLOY / "configurations" / f"{environment}.yaml")["server"]["shutdown_grace_s"]


def test_prometheus_and_grafana_find_what_they_are_to_load() -> None:
    services = yaml(COMPOSE)["services"]
    mounts = {
        name: dict(reversed(volume.split(":")[:2]) for volume in services[name]["volumes"])
        for name in ("prometheus", "grafana")
    }
    prometheus = yaml(DEPLOY / "compose" / "prometheus.yml")
    assert prometheus["rule_files"] == ["rules/*.yml"]
    assert sorted((CHECKOUT / mounts["prometheus"]["/etc/prometheus/rules"]).glob("*.yml")) == [*RULE_FILES]
    assert prometheus["scrape_configs"][0]["job_name"] == "llm-service"
    dashboards = CHECKOUT / mounts["grafana"]["/etc/grafana/dashboards/llm-service"]
    assert sorted(dashboards.glob("*.json")) == [*DASHBOARDS]
    loaded = yaml(DEPLOY / "compose" / "dashboards.yml")["providers"][0]["options"]["path"]
    assert loaded in mounts["grafana"]
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (dashboards / home.relative_to(loaded)).exists()
    (source,) = yaml(DEPLOY / "compose" / "datasource.yml")["datasources"]
    (usual,) = yaml(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert source == {**usual, "url": "http://prometheus:9090"}


# -- secrets


def test_without_its_secrets_nothing_starts_and_the_reason_is_said() -> None:
    needed = [found for text in texts(yaml(COMPOSE)) for found in VARIABLE.finditer(text) if found[2] == "?"]
    assert {found[1] for found in needed} == {
        *("LLM_ENVIRONMENT", "LLM_ADMIN_KEY", "LLM_HASH_KEY"),
        *("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "GRAFANA_ADMIN_PASSWORD"),
    }
    for found in needed:
        with pytest.raises(MissingVariableError, match=HINT):
            filled(found[0], {})


@environments
def test_the_script_writes_all_that_is_asked_for(environment: str, tmp_path: Path) -> None:
    done = written(tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    variables = variables_of(tmp_path)
    for text in texts(joined(environment)):
        filled(text, variables)
    assert variables["COMPOSE_FILE"].split(":") == ["compose.yaml", f"deploy/compose/{environment}.yaml"]
    assert variables.get("LLM_SANDBOX") == ("on" if environment == "development" else None)
    secrets = [value for name, value in variables.items() if name.endswith(("KEY", "PASSWORD"))]
    assert len(set(secrets)) == 5
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets)
    assert secrets[0] not in done.stdout + done.stderr


def test_the_script_takes_over_the_keys_of_providers(tmp_path: Path) -> None:
    assert written(tmp_path, "staging", DEEPSEEK_API_KEY="sk-test-$HOME").returncode == 0
    assert "DEEPSEEK_API_KEY='sk-test-$HOME'\n" in (tmp_path / ".env").read_text(encoding="utf-8")
    refused = written(tmp_path, "staging", "--replace", DEEPSEEK_API_KEY="sk-test-'")
    assert refused.returncode == 1
    assert "sk-test" not in refused.stderr


def test_the_script_leaves_what_is_there_unless_it_is_told_to_replace_it(tmp_path: Path) -> None:
    written(tmp_path)
    before = (tmp_path / ".env").read_text(encoding="utf-8")
    refused = written(tmp_path)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    assert (tmp_path / ".env").read_text(encoding="utf-8") == before
    assert written(tmp_path, "production", "--replace").returncode == 0
    (old,) = tmp_path.glob(".env.*")
    assert old.read_text(encoding="utf-8") == before
    assert variables_of(tmp_path)["LLM_ENVIRONMENT"] == "production"


def test_the_script_understands_nothing_else(tmp_path: Path) -> None:
    for words in (("testing",), ("staging", "production"), ("--force",)):
        assert written(tmp_path, *words).returncode == 2
    assert list(tmp_path.iterdir()) == []


@environments
def test_the_service_takes_what_compose_gives_it(environment: str, tmp_path: Path) -> None:
    written(tmp_path, environment, DEEPSEEK_API_KEY="sk-test-deepseek")
    variables = variables_of(tmp_path)
    asked = joined(environment)["services"]["service"]["environment"]
    given = {name: variables.get(name) if text is None else filled(text, variables) for name, text in asked.items()}
    image = read()[-1].pairs("ENV")
    environ = {**image, **{name: value for name, value in given.items() if value is not None}}
    loaded = load_settings(
        path=DEPLOY / "configurations" / f"{environment}.yaml", environ=environ, cwd=tmp_path, overrides={}
    )
    settings = loaded.settings
    assert (settings.server.host, settings.server.port, settings.server.admin_address) == ("0.0.0.0", 8080, "0.0.0.0")
    assert settings.sandbox == "off"
    assert settings.store.redis_url is not None
    assert settings.store.redis_url.reveal() == f"redis://:{variables['VALKEY_PASSWORD']}@valkey:6379/0"
    assert [*settings.providers] == ["deepseek"]
