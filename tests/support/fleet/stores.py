"""What the machines share: a Valkey cluster of three primaries and three replicas, and PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llm_service.storage.valkey_topology import slot_of
from tests.support.fleet.networks import ALL, BACK, address
from tests.support.postgres import PostgresServer
from tests.support.valkey import Server, ValkeyCluster, running
from tests.support.waiting import wait_until

PRIMARIES: Final = 3
FIRST_PORT: Final = 7001
NODE_TIMEOUT_MS: Final = 1500
LIMITS: Final = "llm:{adm}:life"
"""A key of the slot in which all that limits stand in is kept."""


@dataclass
class ReplicatedCluster(ValkeyCluster):
    """Each primary has a replica, which takes over when the others believe it dead."""

    replicas: list[Server]

    @property
    def everybody(self) -> list[Server]:
        return [*self.nodes, *self.replicas]

    def living(self) -> list[Server]:
        return [node for node in self.everybody if node.process is not None and node.process.poll() is None]

    def follow(self) -> None:
        """Each replica finds its primary; all know all before."""
        count = len(self.everybody)
        for replica in self.replicas:
            replica.ask("CLUSTER", "MEET", self.nodes[0].host, self.nodes[0].port)
        wait_until(lambda: all(f"cluster_known_nodes:{count}" in said(node) for node in self.everybody))
        for primary, replica in zip(self.nodes, self.replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))
        wait_until(self.is_whole)

    def is_whole(self) -> bool:
        """Everybody lives, every slot has an owner, and whoever follows has all that there is."""
        return len(self.living()) == len(self.everybody) and all(
            "cluster_state:ok" in said(node) and _is_in_step(node) for node in self.everybody
        )

    def keeper(self) -> Server:
        """The primary that has the limits now, as most nodes see it."""
        for node in self.living():
            for first, last, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS"):
                found = next((one for one in self.living() if one.port == port), None)
                if first <= slot_of(LIMITS) <= last and found is not None and found.info("role") == "master":
                    return found
        raise AssertionError("nobody has the limits")


@dataclass
class Stores:
    """Both of them."""

    valkey: ReplicatedCluster
    postgres: PostgresServer

    @property
    def redis_url(self) -> str:
        """Names three nodes of six: a program learns of the others from these."""
        return self.valkey.url

    @property
    def database_url(self) -> str:
        return self.postgres.url()


@contextmanager
def stores(folder: Path) -> Iterator[Stores]:
    """Both, ready; ended with the block. Raises CannotRun where there is no PostgreSQL."""
    host = address(BACK, 1)
    words: tuple[str, ...] = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
    words += ("--protected-mode", "no")  # nobody is here but the rack
    words += ("--cluster-node-timeout", f"{NODE_TIMEOUT_MS}", "--cluster-replica-validity-factor", "0")
    ports = range(FIRST_PORT, FIRST_PORT + 2 * PRIMARIES)
    nodes = [Server(folder / f"valkey-{port}", port=port, extra=words, host=host) for port in ports]
    postgres = PostgresServer(host, callers=str(ALL))
    try:
        postgres.create()
        with running(*nodes):
            cluster = ReplicatedCluster(nodes[:PRIMARIES], replicas=nodes[PRIMARIES:])
            cluster.form()
            cluster.follow()
            yield Stores(cluster, postgres)
    finally:
        postgres.remove()


def said(node: Server) -> str:
    return str(node.ask("CLUSTER", "INFO").decode())


def _is_in_step(node: Server) -> bool:
    return node.info("role") == "master" or node.info("master_link_status") == "up"
