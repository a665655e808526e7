"""Canaries: what is secret goes in through every door and comes out at no place where it must not be.

Provider keys, the admin's and callers' keys, those of stores, webhooks and collectors, prompts and answers, through all
failures of providers, malformed requests, hang-ups, defects and dying processes. Which may be where: the table
``MAY_BE`` in tests/support/canaries/places.py.
"""

import asyncio
import gzip
import os
import signal
import zlib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from llm_service.sandbox.forms import GROUPS
from tests.support.behaviours import MODELS, Case, cases
from tests.support.canaries.doors import Doors
from tests.support.canaries.marks import Canaries, group_of
from tests.support.canaries.places import MAY_BE, Found, found_in, leaks, look_at, look_at_files, look_at_what_is_left
from tests.support.canaries.site import WORKERS, Site, site
from tests.support.process import place, run
from tests.support.rest import ask, connected
from tests.support.waiting import until, until_answered
from tests.support.workers import gone, healths

BELONGS = {
    "upstream": {"provider key", "prompt"},
    "answers": {"answer", "kept answer", "upstream id"},
    "notices of alerts": {"webhook"},
    "OTLP": {"collector"},
    "records": {"user", "tag", "upstream id"},
    "pages": {"filter word"},
    "database": {"user", "tag", "kept answer"},
    "journal": {"user"},
    "values in the store": {"answer"},
    "new key": {"caller key"},
    "new session": {"session"},
}
"""Where some of each must be, so that it is known to be looked for in the right way."""
GZIP = b"\x1f\x8b"
TOO_BIG = ("bulk", "gzip-bomb", "long-event", "endless", "stall", "slow", "keep-alive", "dribble")


def corpus(*, whole: bool) -> Iterator[tuple[str, Case]]:
    """Behaviours of the simulated providers: all; or each documented error, and each other kind at one of them."""
    for provider in MODELS:
        for group in GROUPS:
            for case in cases(provider, group):
                again = case.behaviour.startswith(("error-in-200", "error-first", "error-mid"))
                if whole or not (
                    case.behaviour.startswith(TOO_BIG) or again or (group != "Errors" and provider != "plain")
                ):
                    yield provider, case


IN_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda text: text,
    "in capitals": bytes.upper,
    "the end of a key": lambda text: b"****" + text[-8:],
    "UTF-16": lambda text: text.decode().encode("utf-16-le"),
    "hexadecimal": lambda text: text.hex().encode(),
    "in an address": lambda text: b"".join(b"%%%02x" % letter for letter in text),
    "escaped": lambda text: b"".join(b"\\u%04x" % letter for letter in text),
    "compressed": lambda text: b"LLMa" + zlib.compress(b"a" * 99 + text),
    "Base64": b64encode,
    "Base64 behind a byte": lambda text: b64encode(b"a" + text + b"\xff\xfe"),
    "Base64 behind two bytes": lambda text: b64encode(b"ab" + text + b"\xff"),
    "Base64 of addresses": lambda text: urlsafe_b64encode(b"\xff" + text + b"\xff\xfe"),
}


@pytest.mark.parametrize(
    ("form", "made"),
    [
        *((form, "a canary") for form in IN_FORMS),
        *((form, "a learnt secret") for form in IN_FORMS if form not in ("in capitals", "the end of a key", "UTF-16")),
    ],
)
def test_a_canary_is_found_in_every_form(form: str, made: str) -> None:
    canaries = Canaries()
    text = canaries.mark("another") and canaries.mark("a canary")
    if made == "a learnt secret":
        text = f"llms_abcdefghijkl_{'q7w2' * 13}"
        canaries.learn(made, text)
    assert canaries.found_in(b"before " + IN_FORMS[form](text.encode()) + b" behind") == {made}
    assert canaries.found_in(gzip.compress(text.encode())) == {made}


@pytest.mark.timeout(120)
async def test_canaries_are_nowhere_but_where_they_belong(tmp_path: Path) -> None:
    await drive(tmp_path, whole=False)


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_nor_are_they_after_every_behaviour_of_every_provider(tmp_path: Path) -> None:
    await drive(tmp_path, whole=True)


async def drive(folder: Path, *, whole: bool) -> None:
    canaries = Canaries()
    async with site(folder, canaries) as made:
        doors = Doors(made)
        await doors.issue_keys()
        async with listening(doors):
            await doors.every_way()
            await doors.corpus(corpus(whole=whole))
            await doors.filtered()
            await doors.malformed()
            await doors.dashboard()
            await doors.wrong_keys()
            await doors.streams()
            await doors.graphql()
            await doors.socket()
            await doors.hang_up()
            await doors.pages()
        await reload(made)
        await crash(doors)
        await doors.pages()
        await until(lambda: any(b"v1/traces" in one for one in made.collector.heard) and made.alerted.heard)
        await look_at(made)
        assert made.service.child.stop() == 0
        look_at_what_is_left(made)
        start_in_vain(made)
    found = found_in(canaries, {**made.told, "upstream": made.giver.heard})
    planted(made, found)
    assert leaks(canaries, found) == {}


@asynccontextmanager
async def listening(doors: Doors) -> AsyncIterator[None]:
    """Somebody hears all events."""
    listener = asyncio.create_task(doors.listen())
    yield
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)


async def reload(site: Site) -> None:
    """Settings that are wrong at every secret, which are refused; and new ones, by a signal."""
    key = site.canaries.key("provider key: refused")
    wrong = {"providers": {"giver": {"base_url": f"ftp://user:{key}@{key}/", "api_key": [key], "kind": key, key: key}}}
    for settings in (wrong, {"auth": {"admin_key": f"{key}\n{key}", "hash_key": "short"}}, {"limits": key, key: 1}):
        site.write(**settings)
        by = {"Authorization": f"Bearer {site.admin_key}"}
        answer = await ask(site.address, "POST", "/admin/config/reload", b"{}", **by)
        assert answer.status == 400
        site.told["errors"].append(answer.body)
    (site.folder / "home" / "llm-service.yaml").write_text(f"auth: {{admin_key: {key}\nproviders: *{key}")
    site.service.child.signal(signal.SIGHUP)
    await until_answered(lambda: in_log(site, "reload refused", times=4))
    providers = {**site.settings["providers"]}
    providers["plain"] = {**providers["plain"], "api_key": site.canaries.key("provider key: another")}
    site.write(providers=providers)
    site.service.child.signal(signal.SIGHUP)
    await until_answered(lambda: in_log(site, '"reloaded"'))


async def crash(doors: Doors) -> None:
    """One worker is killed, the other aborts, both in the middle of streams; they are replaced."""
    service = doors.site.service
    pids = [child.pid for child in psutil.Process(service.pid).children()]
    assert len(pids) == WORKERS
    async with AsyncExitStack() as held:
        streams = [await held.enter_async_context(connected(service.address)) for _ in range(8)]
        for stream in streams:
            await doors.hanging(stream)
        look_at_files(doors.site)
        for pid, number in zip(pids, (signal.SIGKILL, signal.SIGABRT), strict=True):
            os.kill(pid, number)
        await gone(pids)
        doors.keep("answers", *[await rest_of(stream.reader) for stream in streams])
    await healths(service, workers=WORKERS)


async def rest_of(stream: asyncio.StreamReader) -> bytes:
    """What comes before the connection ends or is reset."""
    said = b""
    with suppress(ConnectionError):
        while piece := await stream.read(65536):
            said += piece
    return said


async def in_log(site: Site, words: str, *, times: int = 1) -> bool:
    """Whether the files of the log have it so often."""
    with suppress(FileNotFoundError):  # it has just become an archive
        logs = [path for path in (site.folder / "logs").iterdir() if not path.with_name(f"{path.name}.gz").exists()]
        return b"".join(plain(path.read_bytes()) for path in logs).count(words.encode()) >= times
    return False


def plain(file: bytes) -> bytes:
    """Of a file of the log what it says."""
    return gzip.decompress(file) if file.startswith(GZIP) else file


def start_in_vain(site: Site) -> None:
    """What is said of settings that name what nobody can use."""
    key = site.canaries.key("database password: PostgreSQL's")
    store = {"redis_url": f"redis://:{key}@127.0.0.1:1", "database_url": f"postgresql://user:{key}@127.0.0.1:1/there"}
    site.write(store=store, observability={"log_level": "debug"})
    where = place(site.folder / "home", CANARY_PROVIDER_KEY=key)
    for words in (("serve", "--port", "0"), ("check-config",), ("check-config", "--json"), ("keys", "list")):
        done = run(where, *words)
        site.told["output"] += [done.out.encode(), done.err.encode()]


def planted(site: Site, found: Found) -> None:
    """All that was to be found has been where it belongs, or it means nothing that it is missing elsewhere."""
    assert site.canaries.kinds_of("prompt") - {*found["upstream"]} == set()
    assert {kind for kind in found["upstream"] if group_of(kind) in ("masked", "filter word")} == set()
    assert {*MAY_BE} - {somewhere for somewhere, pieces in site.told.items() if any(pieces)} == {"upstream"}
    for somewhere, groups in BELONGS.items():
        assert groups - {group_of(kind) for kind in found[somewhere]} == set(), somewhere
    log = b"".join(map(plain, site.told["log"]))
    assert b"Fatal Python error: Aborted" in b"".join(site.told["output"])
    assert all(words in log for words in (b"LookupError: ***", b"UnicodeError: ***"))
    assert any(file.startswith(GZIP) for file in site.told["log"])
