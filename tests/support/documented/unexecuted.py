"""The one list of blocks that no test executes, each with its reason; what can be said of them without is checked."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ENGINE: Final = "there is no container engine beside the tests; tests/e2e/test_container.py runs the image's tree"
BALANCER: Final = "would change this machine's own programs; tests/e2e/test_proxy.py and test_fleet.py run them"
CLUSTER: Final = "there is no cluster beside the tests; tests/unit/deploy renders the chart and judges what comes of it"
SERVER: Final = "would install on this very machine; tests/unit/deploy/test_systemd.py holds unit and configuration"
SUITE: Final = "would set up environments and run this suite within itself; tests/launch does"
TREE: Final = "takes root and minutes; tests/e2e/test_container.py does it"
WORKFLOW: Final = "the address is that of a running GitHub workflow"
POSTGRES: Final = "there is no PostgreSQL beside the pages; tests/unit/cli/test_backup.py moves a database there"
BACK: Final = (
    "wants the copy that an upgrade leaves beside a database; tests/conformance/storage/test_sqlite.py makes one"
)

UNEXECUTED: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("CONTRIBUTING.md", "./serve "): SUITE,
        ("docs/cache.md", "pip install "): "would fetch packages and change the environment that runs the tests",
        ("docs/deploy/docker.md", "scripts/compose-env "): ENGINE,
        ("docs/deploy/docker.md", "OPENROUTER_API_KEY=... scripts/compose-env"): ENGINE,
        ("docs/deploy/docker.md", "docker compose exec -T postgres pg_dump"): ENGINE,
        ("docs/deploy/docker.md", "docker build "): ENGINE,
        ("docs/deploy/docker.md", "sudo scripts/image-tree"): TREE,
        ("docs/deploy/kubernetes.md", "kubectl create namespace "): CLUSTER,
        ("docs/deploy/kubernetes.md", "helm -n llm get values "): CLUSTER,
        ("docs/deploy/kubernetes.md", "kubectl -n llm exec gateway-0 "): CLUSTER,
        ("docs/deploy/server.md", "apt-get install "): SERVER,
        ("docs/deploy/server.md", "install -m 644 deploy/systemd/llm-service.sysusers.conf"): SERVER,
        ("docs/deploy/server.md", "chgrp llm-service "): SERVER,
        ("docs/deploy/server.md", "cat > /usr/local/bin/llm-service"): SERVER,
        ("docs/deploy/server.md", "llm-service backup /var/lib/"): SERVER,
        ("docs/deploy/proxy.md", "cp deploy/proxy/nginx.conf "): BALANCER,
        ("docs/deploy/proxy.md", "cp deploy/proxy/haproxy.cfg "): BALANCER,
        ("docs/deploy/proxy.md", "nginx -s reload "): BALANCER,
        ("docs/keys.md", 'curl -s -H "Authorization: Bearer $ACTIONS_'): WORKFLOW,
        ("docs/operations/backup.md", "llm-service backup move.zip"): POSTGRES,
        ("docs/operations/cleanup.md", "systemctl stop "): SERVER,
        ("docs/operations/upgrade.md", "mv llm-service.db "): BACK,
        ("docs/prometheus.md", "install -D "): "writes into the folders of an installed Grafana",
    }
)
"""By page and how its first line begins. A new block that cannot be run here needs its line, and its reason."""
