from dataclasses import replace
from pathlib import Path

import pytest

from llm_service.api import AuthOptions, ServerOptions, TlsOptions
from llm_service.cache import CacheOptions, SemanticOptions
from llm_service.config import Loaded, Mistake, Settings, SettingsError
from llm_service.domain import Secret
from llm_service.ledger import LedgerOptions
from llm_service.providers import ProviderOptions
from llm_service.storage import StoreOptions
from llm_service.streams import StreamOptions
from llm_service.supervisor import ReloadRefused
from llm_service.supervisor.edition import needing_restart, next_edition
from tests.support.clock import ManualClock
from tests.unit.supervisor.conftest import EditionOf, loaded

CHANGES = {
    "server.host": Settings(server=ServerOptions(host="::1")),
    "server.port": Settings(server=ServerOptions(port=1)),
    "server.admin_port": Settings(server=ServerOptions(admin_port=1)),
    "server.tls": Settings(server=ServerOptions(tls=TlsOptions(cert=Path("c"), key=Path("k")))),
    "server.workers": Settings(server=ServerOptions(workers=2)),
    "server.data_dir": Settings(server=ServerOptions(data_dir=Path("/elsewhere"))),
    "store.redis_url": Settings(store=StoreOptions(redis_url=Secret("redis://127.0.0.1:1"))),
    "ledger.fsync": Settings(ledger=LedgerOptions(fsync="always")),
    "cache.max_bytes": Settings(cache=CacheOptions(max_bytes=2**20)),
    "cache.eviction": Settings(cache=CacheOptions(eviction="lfu")),
    "cache.semantic.enabled": Settings(cache=CacheOptions(semantic=SemanticOptions(enabled=True))),
    "streams.total_bytes": Settings(streams=StreamOptions(total_bytes=1)),
    "auth.hash_key": Settings(auth=AuthOptions(hash_key=(Secret("k" * 64),))),
}


@pytest.mark.parametrize(("path", "changed"), CHANGES.items(), ids=list(CHANGES))
def test_what_the_service_stands_on_takes_a_restart(path: str, changed: Settings) -> None:
    assert needing_restart(Settings(), changed) == (path,)


def test_another_certificate_does_not() -> None:
    tls = TlsOptions(cert=Path("c"), key=Path("k"))
    old, new = (
        Settings(server=ServerOptions(tls=one)) for one in (tls, replace(tls, cert=Path("d"), min_version="1.3"))
    )
    assert needing_restart(old, new) == ()


def test_everything_else_is_reloaded() -> None:
    other = Settings(
        server=ServerOptions(keep_alive_s=1, shutdown_grace_s=1, allowed_origins=("https://a.example",)),
        auth=AuthOptions(admin_key=Secret("sk-test-new")),
        cache=CacheOptions(enabled=False, ttl_s=1, max_entry_bytes=8192),
        streams=StreamOptions(on_disconnect="finish"),
        providers={"x": ProviderOptions(api_key=Secret("sk-test-x"))},
    )
    assert needing_restart(Settings(), other) == ()


def test_the_next_edition_has_the_next_number_and_its_moment(edition_of: EditionOf, clock: ManualClock) -> None:
    first = edition_of()
    clock.advance(60)
    following = next_edition(first, lambda: loaded(Settings(sandbox="on")), clock)
    assert following.generation.number == 2
    assert (following.generation.loaded_at - first.generation.loaded_at).total_seconds() == 60
    assert following.loaded.settings.sandbox == "on"


def test_all_mistakes_are_told_at_once(edition_of: EditionOf, clock: ManualClock) -> None:
    mistakes = tuple(Mistake(source="a.yaml", line=n, column=1, message="is wrong") for n in (1, 2))

    def read() -> Loaded:
        raise SettingsError(mistakes)

    with pytest.raises(ReloadRefused) as refused:
        next_edition(edition_of(), read, clock)
    assert refused.value.reasons == ("a.yaml:1:1: is wrong", "a.yaml:2:1: is wrong")


def test_a_change_that_takes_a_restart_is_refused_by_its_name(edition_of: EditionOf, clock: ManualClock) -> None:
    changed = replace(Settings(), server=ServerOptions(port=1, workers=4))
    with pytest.raises(ReloadRefused, match=r"^server\.port, server\.workers: .* restart"):
        next_edition(edition_of(), lambda: loaded(changed), clock)
