"""Webhook, Slack and e-mail against real servers on loopback."""

import asyncio
import hashlib
import hmac
import json
import shutil
import socket
from contextlib import asynccontextmanager

import pytest

from llm_service.alerts import NoticeFailed, NotifierOptions
from llm_service.alerts.notices.build import build_channel
from llm_service.alerts.notices.email import EmailNotifier
from llm_service.domain import Secret
from llm_service.runtime import SystemClock
from tests.support.chaos.certificates import Certificates, make_certificates
from tests.support.clock import ManualClock
from tests.support.mail_server import MailReceiver, receiving
from tests.support.notices import a_notice
from tests.support.raw_server import read_request, serving
from tests.support.upstream import OK, failed, saying
from tests.support.waiting import until

HIDDEN = "T0/B0/hidden"
OK_SLACK = OK + b"Content-Length: 2\r\n\r\nok"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@asynccontextmanager
async def channel(clock=None, **options):
    made = build_channel("ops", NotifierOptions(**options), clock=clock or SystemClock(), on_failure=failed)
    try:
        yield made
    finally:
        await made.aclose()


async def refusal(notice=None, **options) -> NoticeFailed:
    """Why a notice was not delivered; whatever is secret is not in it."""
    async with channel(**options) as made:
        with pytest.raises(NoticeFailed) as caught:
            await made.deliver(notice or a_notice())
    assert "hidden" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    return caught.value


def slack(address: str, **other):
    return {"kind": "slack", "webhook_url": Secret(f"{address}/services/{HIDDEN}?key=hidden"), **other}


async def test_a_webhook_is_posted_and_signed() -> None:
    requests = []

    async def handle(reader, writer) -> None:
        requests.append(await read_request(reader))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(handle) as address:
        options = {
            "kind": "webhook",
            "url": Secret(f"{address}/hook?key={HIDDEN}"),
            "headers": {"Authorization": "Bearer t", "User-Agent": "mine"},
            "secret": Secret("s3"),
        }
        async with channel(**options) as made:
            await made.deliver(a_notice())
    head, _, body = requests[0].partition(b"\r\n\r\n")
    request_line, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert request_line == f"POST /hook?key={HIDDEN} HTTP/1.1"
    assert (headers["authorization"], headers["user-agent"]) == ("Bearer t", "mine")
    assert headers["content-type"] == "application/json"
    expected = hmac.new(b"s3", headers["x-llm-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["x-llm-signature"] == f"sha256={expected}"
    assert json.loads(body)["receiver"] == "ops"


async def test_slack_takes_a_message() -> None:
    bodies = []

    async def handle(reader, writer) -> None:
        bodies.append((await read_request(reader)).partition(b"\r\n\r\n")[2])
        writer.write(OK_SLACK)

    async with serving(handle) as address, channel(**slack(address)) as made:
        await made.deliver(a_notice())
    assert json.loads(bodies[0])["blocks"][0]["type"] == "header"


@pytest.mark.parametrize(
    ("status", "lasting"),
    [(400, True), (401, True), (404, True), (410, True), (408, False), (429, False), (500, False), (503, False)],
)
async def test_a_refusal_is_told_by_its_status_and_the_host_alone(status, lasting) -> None:
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 6\r\n\r\nhidden".encode()
    async with serving(saying(answer)) as address:
        error = await refusal(kind="webhook", url=Secret(f"{address}/{HIDDEN}"))
    assert (str(error), error.lasting) == (f"{address.removeprefix('http://')} answered {status}", lasting)


async def test_slacks_word_for_what_is_wrong_is_told() -> None:
    async with serving(saying(b"HTTP/1.1 410 Gone\r\nContent-Length: 19\r\n\r\nchannel_is_archived")) as address:
        assert str(await refusal(**slack(address))).endswith("answered 410 (channel_is_archived)")


@pytest.mark.parametrize(
    ("told", "expected"),
    [("30", 30.0), ("Mon, 23 Nov 2026 00:17:40 GMT", 60.0), ("soon", None), ("-1", None), ("9" * 400, None)],
)
async def test_retry_after_is_read_in_each_form(told, expected) -> None:
    clock = ManualClock()  # at 00:16:40
    answer = f"HTTP/1.1 429 X\r\nRetry-After: {told}\r\nContent-Length: 0\r\n\r\n".encode()
    async with serving(saying(answer)) as address:
        assert (await refusal(**slack(address), clock=clock)).retry_after_s == expected


async def test_a_redirect_is_not_followed() -> None:
    asked = []

    async def elsewhere(reader, writer) -> None:
        asked.append(await read_request(reader))

    async with serving(elsewhere) as other:
        moved = f"HTTP/1.1 307 X\r\nLocation: {other}/hidden\r\nContent-Length: 0\r\n\r\n".encode()
        async with serving(saying(moved)) as address:
            error = await refusal(**slack(address))
    assert error.lasting
    assert str(error).endswith("answered 307, and redirects are not followed")
    assert asked == []


async def test_who_is_slow_is_given_up() -> None:
    clock = ManualClock()
    asked = asyncio.Event()

    async def silent(reader, writer) -> None:
        await read_request(reader)
        asked.set()
        await asyncio.Event().wait()

    async with serving(silent) as address, channel(clock, **slack(address, timeout_s=7)) as made:
        delivering = asyncio.create_task(made.deliver(a_notice()))
        await asked.wait()
        clock.advance(7)
        with pytest.raises(NoticeFailed, match="did not answer in time") as caught:
            await delivering
    assert not caught.value.lasting


async def test_an_answer_without_end_is_cut_off() -> None:
    async def endless(reader, writer) -> None:
        await read_request(reader)
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()

    async with serving(endless) as address, channel(**slack(address)) as made:
        await made.deliver(a_notice())


async def test_who_has_said_its_status_has_answered() -> None:
    cut_off = OK + b"Content-Length: 9\r\n\r\nok"
    async with serving(saying(cut_off)) as address, channel(**slack(address)) as made:
        await made.deliver(a_notice())


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def test_nobody_at_the_address_is_worth_another_try() -> None:
    error = await refusal(**slack(f"http://127.0.0.1:{free_port()}"))
    assert "cannot connect: Connection refused" in str(error)
    assert not error.lasting


async def test_a_connection_that_closes_unanswered_is_worth_another_try() -> None:
    async with serving(saying(b"")) as address:
        assert not (await refusal(**slack(address))).lasting


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("notices"))


@asynccontextmanager
async def encrypted(handle, tls):
    """The same as `serving`, with TLS from the first byte; yields the port."""

    async def connected(reader, writer) -> None:
        await handle(reader, writer)
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@needs_openssl
async def test_a_webhook_has_to_prove_who_it_is(certificates) -> None:
    answer = saying(OK_SLACK)
    async with encrypted(answer, certificates.good) as port:
        address = f"https://localhost:{port}"
        async with channel(**slack(address, ca_file=certificates.authority)) as made:
            await made.deliver(a_notice())
        error = await refusal(**slack(address))
    assert str(error).startswith(f"localhost:{port}: TLS failed: ")


# -- e-mail


def mail(server: MailReceiver, **other):
    options = {
        "kind": "email",
        "host": "127.0.0.1",
        "port": server.port,
        "encryption": "none",
        "sender": "llm@example.com",
        "to": ("a@example.com", "b@example.com"),
    }
    return {**options, **other}


async def test_mail_arrives_at_all_recipients() -> None:
    async with receiving(MailReceiver()) as server, channel(**mail(server)) as made:
        await made.deliver(a_notice())
    (kept,) = server.mails
    assert (kept.sender, kept.to) == ("llm@example.com", ["a@example.com", "b@example.com"])
    assert kept.message["Subject"] == "[FIRING:1] provider_down (critical) on gateway-1"
    assert "deepseek is down" in kept.part("plain")
    assert "deepseek is down" in kept.part("html")
    assert server.lines[0] == "ehlo example.com"


@needs_openssl
async def test_starttls_comes_before_the_password(certificates) -> None:
    login = {"user": "ops", "password": Secret("hidden")}
    async with receiving(MailReceiver(offers=("starttls", "auth"), tls=certificates.good)) as server:
        options = mail(server, host="localhost", encryption="starttls", ca_file=certificates.authority, **login)
        async with channel(**options) as made:
            await made.deliver(a_notice())
    (kept,) = server.mails
    assert (kept.login, kept.encrypted) == ("ops hidden", True)
    verbs = [line.split(" ")[0].upper() for line in server.lines]
    assert verbs.index("STARTTLS") < verbs.index("AUTH")


@needs_openssl
@pytest.mark.parametrize("fault", ["expired", "of another name", "of an unknown authority"])
async def test_a_mail_server_has_to_prove_who_it_is(certificates, fault) -> None:
    login = {"user": "ops", "password": Secret("hidden")}
    async with receiving(MailReceiver(offers=("starttls", "auth"), tls=certificates.bad[fault])) as server:
        options = mail(server, host="localhost", encryption="starttls", ca_file=certificates.authority, **login)
        error = await refusal(**options)
    assert str(error).startswith("localhost: TLS failed: ")
    assert not [line for line in server.lines if line.startswith("AUTH")]


async def test_without_starttls_nothing_is_sent() -> None:
    login = {"user": "ops", "password": Secret("hidden")}
    async with receiving(MailReceiver()) as server:
        error = await refusal(**mail(server, host="localhost", encryption="starttls", **login))
    assert error.lasting
    assert {line.split(" ")[0].upper() for line in server.lines} <= {"EHLO", "QUIT"}


@needs_openssl
async def test_mail_goes_by_tls_from_the_first_byte(certificates) -> None:
    server = MailReceiver()
    async with encrypted(server.serve, certificates.good) as server.port:
        options = mail(server, host="localhost", encryption="tls", ca_file=certificates.authority)
        async with channel(**options) as made:
            await made.deliver(a_notice())
        await until(lambda: server.mails)


@pytest.mark.parametrize(
    ("replies", "expected", "lasting"),
    [
        ({"greeting": ["554 5.7.1 go away hidden"]}, "refused the mail (554 5.7.1)", True),
        ({"greeting": ["421 4.3.2 later"]}, "refused the mail (421 4.3.2)", False),
        ({"AUTH": ["535 5.7.8 no AGFhAGhpZGRlbg== hidden"] * 3}, "refused the login (535 5.7.8)", True),
        ({"AUTH": ["454 4.7.0 later"] * 3}, "refused the login (454 4.7.0)", False),
        ({"MAIL": ["550 5.7.60 not you hidden"]}, "refused the mail (550 5.7.60)", True),
        ({"RCPT": ["550 5.1.1 nobody"] * 2}, "refused 2 of 2 recipients (550 5.1.1)", True),
        ({"RCPT": ["450 4.2.0 greylisted"] * 2}, "refused 2 of 2 recipients (450 4.2.0)", False),
        ({"RCPT": ["421 4.3.2 closing"]}, "refused 2 of 2 recipients (421 4.3.2)", False),
        ({"accepting": ["552 too large"]}, "refused the mail (552)", True),
        ({"DATA": ["close"]}, "the connection closed before the mail was accepted", False),
    ],
)
async def test_a_mail_servers_refusal_is_told_by_its_codes_alone(replies, expected, lasting) -> None:
    async with receiving(MailReceiver(replies=replies)) as server:
        error = await refusal(**mail(server, user="ops", password=Secret("hidden")))
    assert (str(error).replace("127.0.0.1: ", "127.0.0.1 "), error.lasting) == (f"127.0.0.1 {expected}", lasting)


async def test_who_has_accepted_a_mail_is_not_sent_it_again() -> None:
    greylisting = MailReceiver(replies={"RCPT TO:<b": ["450 4.2.0 greylisted"]})
    async with receiving(greylisting) as server, channel(**mail(server)) as made:
        with pytest.raises(NoticeFailed, match=r"refused 1 of 2 recipients \(450 4.2.0\)"):
            await made.deliver(a_notice())
        await made.deliver(a_notice())
        await made.deliver(a_notice(group="another"))
    assert [kept.to for kept in server.mails] == [
        ["a@example.com"],
        ["b@example.com"],
        ["a@example.com", "b@example.com"],
    ]


@pytest.mark.parametrize("stuck", ["EHLO", "RCPT", "DATA"])
async def test_a_mail_server_that_falls_silent_is_given_up(stuck) -> None:
    clock = ManualClock()
    async with receiving(MailReceiver(stuck=stuck)) as server, channel(clock, **mail(server, timeout_s=30)) as made:
        delivering = asyncio.create_task(made.deliver(a_notice()))
        await until(lambda: any(line.upper().startswith(stuck) for line in server.lines))
        clock.advance(30)
        with pytest.raises(NoticeFailed, match="did not take the mail in time"):
            await delivering
        assert isinstance(made, EmailNotifier)
        await until(lambda: not made.busy)  # its thread has ended as well


async def test_a_delivery_that_is_cancelled_leaves_nothing_behind() -> None:
    async with receiving(MailReceiver(stuck="EHLO")) as server, channel(**mail(server, timeout_s=30)) as made:
        delivering = asyncio.create_task(made.deliver(a_notice()))
        await until(lambda: server.lines)
        delivering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivering
        await until(lambda: not made.busy)


async def test_nobody_at_the_mail_servers_port_is_worth_another_try() -> None:
    server = MailReceiver(port=free_port())
    error = await refusal(**mail(server))
    assert str(error) == "127.0.0.1: cannot connect: Connection refused"
    assert not error.lasting
