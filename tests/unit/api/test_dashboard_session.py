"""``/dashboard/session`` over HTTP: in, what one may do, out, and the tricks that do not work."""

from http.cookies import SimpleCookie
from typing import Any

import httpx2
import pytest

from llm_service.api.http_request import credentials_of, session_in
from tests.support.control import ADMIN_KEY, WRONG_KEYS, Parts, client_of, parts_of

PATH = "/dashboard/session"
OWN = "http://127.0.0.1:8080"


class Browser:
    """Keeps cookies by hand, and says what browsers say."""

    def __init__(self, parts: Parts, *, keyless: bool = False) -> None:
        self.client = client_of(parts, keyless=keyless)
        self.cookie = ""
        self.csrf: str | None = None

    async def sign_in(self, key: str, **headers: str) -> httpx2.Response:
        answer = await self.ask("POST", PATH, json={"key": key}, **headers)
        if answer.status_code == 200:
            self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
            self.csrf = answer.json()["csrf"]
        return answer

    async def ask(
        self, method: str, path: str, *, json: Any = None, csrf: bool = True, **headers: str
    ) -> httpx2.Response:
        said = {"origin": OWN, "sec-fetch-site": "same-origin", "cookie": self.cookie} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        if csrf and self.csrf:
            said["x-llm-csrf"] = self.csrf
        said = {name: value for name, value in said.items() if value}
        return await self.client.request(method, path, json=json, headers=said)


@pytest.fixture
def parts() -> Parts:
    return parts_of()


@pytest.fixture
def browser(parts: Parts) -> Browser:
    return Browser(parts)


# -- in


async def test_who_shows_a_key_is_told_of_it_whatever_session_the_browser_still_has(browser: Browser) -> None:
    key = f"Bearer {ADMIN_KEY}"
    await browser.sign_in(ADMIN_KEY)
    for cookie in (browser.cookie, "llm-session=1.over"):
        browser.cookie = cookie
        answer = await browser.ask("GET", PATH, authorization=key)
        assert (answer.status_code, answer.json()["key_id"], answer.json()["csrf"]) == (200, "admin", None)


async def test_the_admin_key_lets_in_and_may_everything(browser: Browser) -> None:
    answer = await browser.sign_in(ADMIN_KEY)
    body = answer.json()
    assert (answer.status_code, body["signed_in"], body["key_id"]) == (200, True, "admin")
    assert {"GET /admin/keys", "POST /v1/chat/completions", "GET /admin/usage/summary"} <= set(body["may"])
    assert (await browser.ask("GET", "/admin/keys")).status_code == 200
    assert ADMIN_KEY not in answer.text + str(answer.headers)


async def test_the_cookie_is_for_no_script_and_no_other_site(browser: Browser) -> None:
    answer = await browser.sign_in(ADMIN_KEY)
    cookie = SimpleCookie(answer.headers["set-cookie"])["llm-session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Strict", "/", "")
    assert (int(cookie["max-age"]), cookie["secure"]) == (12 * 3600, "")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("proxy", [{"x_forwarded_proto": "https"}, {"forwarded": 'for=10.0.0.1;proto="https"'}])
async def test_over_tls_the_cookie_is_for_tls_and_this_host_alone(browser: Browser, proxy: dict[str, str]) -> None:
    answer = await browser.sign_in(ADMIN_KEY, **proxy)
    assert answer.headers["set-cookie"].startswith("__Host-llm-session=")
    assert answer.headers["set-cookie"].endswith("; Secure")
    assert (await browser.ask("GET", "/admin/keys")).status_code == 200


async def test_a_reader_may_what_readers_may(parts: Parts, browser: Browser) -> None:
    issued = await parts.process.issue(scopes=["read"])
    may = (await browser.sign_in(issued.secret.reveal())).json()["may"]
    assert "GET /admin/usage" in may
    assert not [offer for offer in may if offer.startswith(("POST", "PATCH", "DELETE"))]
    assert {"GET /admin/alerts", "GET /admin/alerts/history"} <= set(may)
    assert "GET /admin/alerts/silences" not in may
    assert (await browser.ask("GET", "/admin/usage")).status_code == 200
    assert (await browser.ask("POST", "/admin/keys", json={"name": "n"})).status_code == 403


async def test_what_may_be_asked_is_what_is_let_through(parts: Parts) -> None:
    for scopes in (["read"], ["admin"], ["inference", "read"]):
        browser = Browser(parts)
        issued = await parts.process.issue(scopes=scopes)
        may = set((await browser.sign_in(issued.secret.reveal())).json()["may"])
        for route in parts.routes:
            if "{" in route.path or route.method != "GET" or route.path.startswith("/dashboard"):
                continue
            refused = (await browser.ask("GET", route.path)).status_code == 403
            assert refused == (f"GET {route.path}" not in may), f"{scopes}: {route.path}"


async def test_a_key_that_only_asks_models_is_not_let_in(parts: Parts, browser: Browser) -> None:
    issued = await parts.process.issue(scopes=["inference"])
    answer = await browser.sign_in(issued.secret.reveal())
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [({"key": "wrong"}, 401), ({"key": ""}, 400), ({"key": 3}, 400), ({}, 400), ({"key": "k", "x": 1}, 400), ([], 400)],
)
async def test_nothing_else_lets_in(browser: Browser, body: Any, status: int) -> None:
    answer = await browser.ask("POST", PATH, json=body)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)


async def test_a_form_of_another_page_signs_nobody_in(browser: Browser) -> None:
    """Login CSRF: the victim would go on as whoever the page likes."""
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}):
        assert (await browser.sign_in(ADMIN_KEY, **headers)).status_code == 401
    plain = await browser.client.post(PATH, content=f'{{"key": "{ADMIN_KEY}"}}', headers={"content-type": "text/plain"})
    assert (plain.status_code, "set-cookie" in plain.headers) == (400, False)


# -- who is there


async def test_who_is_not_signed_in_is_told_so_without_an_error(browser: Browser) -> None:
    answer = await browser.ask("GET", PATH)
    assert (answer.status_code, answer.json()["signed_in"]) == (200, False)
    assert answer.json().keys() == {"signed_in", "reason", "version", "sandbox"}


async def test_a_page_finds_its_token_again_after_a_reload(browser: Browser) -> None:
    signed_in = (await browser.sign_in(ADMIN_KEY)).json()
    assert (await browser.ask("GET", PATH, csrf=False)).json() == signed_in


async def test_without_keys_nobody_needs_to_sign_in(parts: Parts) -> None:
    browser = Browser(parts, keyless=True)
    body = (await browser.ask("GET", PATH)).json()
    assert (body["signed_in"], body["key_id"], body["csrf"], body["ends_at"]) == (True, "local", None, None)
    assert "set-cookie" not in (await browser.sign_in("local")).headers


# -- what others try


async def test_nothing_is_changed_without_the_token_against_forgery(browser: Browser) -> None:
    await browser.sign_in(ADMIN_KEY)
    for method, path in (("POST", "/admin/keys"), ("DELETE", "/admin/cache?all=true"), ("PATCH", "/admin/providers/x")):
        assert (await browser.ask(method, path, json={}, csrf=False)).status_code == 401
        assert (await browser.ask(method, path, json={}, csrf=False, x_llm_csrf="0" * 32)).status_code == 401
        assert (await browser.ask(method, path, json={})).status_code not in (401, 403)


@pytest.mark.parametrize(
    "page",
    [
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"origin": "http://127.0.0.1:9999", "sec_fetch_site": "same-site"},
        {"origin": "", "sec_fetch_site": "cross-site"},
        {"origin": "", "sec_fetch_site": "same-site"},
        {"origin": "null", "sec_fetch_site": ""},
    ],
)
async def test_pages_of_other_origins_get_nothing(browser: Browser, page: dict[str, str]) -> None:
    await browser.sign_in(ADMIN_KEY)
    for path in ("/admin/keys", "/v1/models", "/admin/usage"):
        assert (await browser.ask("GET", path, **page)).status_code == 401
    assert (await browser.ask("POST", "/admin/keys", json={"name": "n"}, **page)).status_code == 401
    assert (await browser.ask("GET", PATH, **page)).json()["signed_in"] is False


async def test_the_token_of_one_session_does_not_fit_another(parts: Parts) -> None:
    one, other = Browser(parts), Browser(parts)
    await one.sign_in(ADMIN_KEY)
    await other.sign_in((await parts.process.issue(scopes=["admin"])).secret.reveal())
    one.csrf = other.csrf
    assert (await one.ask("POST", "/admin/keys", json={"name": "n"})).status_code == 401


async def test_two_cookies_or_tokens_are_one_too_many(browser: Browser) -> None:
    await browser.sign_in(ADMIN_KEY)
    headers = [("cookie", browser.cookie), ("cookie", "a=b"), ("x-llm-csrf", browser.csrf or "")]
    assert (await browser.client.get("/admin/keys", headers=headers)).status_code == 400
    headers = [("cookie", browser.cookie), ("x-llm-csrf", "0"), ("x-llm-csrf", browser.csrf or "")]
    assert (await browser.client.get("/admin/keys", headers=headers)).status_code == 400


async def test_other_cookies_do_no_harm(browser: Browser) -> None:
    await browser.sign_in(ADMIN_KEY)
    browser.cookie = f"a=b; llm-session-2=x; {browser.cookie}; =; c"
    assert (await browser.ask("GET", "/admin/keys")).status_code == 200


async def test_a_revoked_key_ends_its_sessions(parts: Parts, browser: Browser) -> None:
    issued = await parts.process.issue(scopes=["admin"])
    await browser.sign_in(issued.secret.reveal())
    assert (await browser.ask("GET", "/admin/keys")).status_code == 200
    await parts.process.keys.revoke(issued.key.id)
    assert (await browser.ask("GET", "/admin/keys")).status_code == 401
    assert (await browser.ask("GET", PATH)).json()["signed_in"] is False


# -- out


async def test_who_signs_out_keeps_nothing(browser: Browser) -> None:
    await browser.sign_in(ADMIN_KEY)
    answer = await browser.ask("DELETE", PATH)
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-llm-session", "llm-session"]
    assert all("Max-Age=0" in cookie for cookie in cookies)


async def test_another_page_cannot_sign_out(browser: Browser) -> None:
    await browser.sign_in(ADMIN_KEY)
    assert (await browser.ask("DELETE", PATH, csrf=False)).status_code == 401


# -- wrong keys


async def test_who_tries_many_keys_has_to_wait_also_with_the_right_one(parts: Parts, browser: Browser) -> None:
    for _ in range(WRONG_KEYS):
        assert (await browser.sign_in("wrong")).status_code == 401
    waiting = await browser.sign_in(ADMIN_KEY)
    assert (waiting.status_code, waiting.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "Too many wrong keys" in waiting.json()["error"]["message"]
    parts.process.world.clock.advance(60)
    assert (await browser.sign_in(ADMIN_KEY)).status_code == 200


async def test_no_key_that_was_tried_is_in_the_log(parts: Parts, browser: Browser) -> None:
    await browser.sign_in("a-mistyped-secret")
    await browser.sign_in(ADMIN_KEY)
    assert "a-mistyped-secret" not in str(parts.process.log.lines)
    assert ADMIN_KEY not in str(parts.process.log.lines)
    assert browser.cookie.partition("=")[2] not in str(parts.process.log.lines)


# -- other doors


def test_a_socket_shows_no_session() -> None:
    """Any page may open one, and the browser sends the cookies along."""
    headers = {b"host": b"127.0.0.1", b"cookie": b"llm-session=1.admin"}
    assert credentials_of({"type": "websocket", "method": "GET"}, headers).session is None
    assert credentials_of({"type": "http", "method": "GET"}, headers).session == "1.admin"


def test_the_cookie_of_tls_goes_before_the_other() -> None:
    """The other one may have been set by whoever answers without TLS."""
    both = {b"cookie": b"llm-session=theirs; __Host-llm-session=ours"}
    assert session_in(both) == "ours"
    assert session_in({b"cookie": b"llm-session=; x=__Host-llm-session"}) is None
