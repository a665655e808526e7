"""The dashboard in a real browser: every page, on a desk and a phone, by day and by night, and what is done there."""

import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from llm_service.api import AuthOptions, ServerOptions
from llm_service.api.dashboard.pages import FILES
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.sandbox import Sandbox
from tests.support.browser import AXE, DESKTOP, PHONE, Browsing, browsing
from tests.support.rest import ask, chat_body
from tests.support.service import CREDENTIAL, Running, running, simulated

ADMIN_KEY = "sk-test-admin-key-0123456789"
MODEL = "deepseek/deepseek-flash"
PAGES = ("overview generations usage alerts playground providers models cache keys limits configuration health").split()
KEY_OF_LIMITS = b'{"name": "Limited", "requests_per_minute": 60, "tokens_per_minute": 1000, "budget_usd": "5"}'
QUESTION = "What does the playground ask?"


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    """Without keys, as on a laptop; with a cache and a limit."""
    settings = Settings(server=ServerOptions(), providers=simulated(sandbox.address))
    async with running(settings, sandbox=True, cached=True) as service:
        yield service


@pytest.fixture
async def locked(sandbox: Sandbox) -> AsyncIterator[Running]:
    """A service that wants keys."""
    settings = Settings(
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY), required="always"), providers=simulated(sandbox.address)
    )
    async with running(settings) as service:
        yield service


@pytest.fixture
async def visit(service: Running) -> AsyncIterator[Browsing]:
    async with browsing(service.address) as visit:
        yield visit


async def used(address: str) -> str:
    """Leave something on every page; the id of one request."""
    for _ in range(2):
        answer = await ask(address, "POST", "/v1/chat/completions", chat_body(MODEL))
    await ask(address, "POST", "/v1/chat/completions", chat_body("plain/no-such-model"))
    key = {"name": "A key of the tests", "requests_per_minute": 60, "budget_usd": "5"}
    await ask(address, "POST", "/admin/keys", orjson.dumps(key))
    return str(answer.headers["x-request-id"])


async def text_of(page: Any, selector: str) -> str:
    return str(await page.locator(selector).first.inner_text())


# -- every page


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed")
@pytest.mark.parametrize(
    ("viewport", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False), (PHONE, True)],
    ids=["desk", "desk in the dark", "phone", "phone in the dark"],
)  # fmt: skip
async def test_every_page_is_whole_and_open_to_everybody(
    service: Running, viewport: dict[str, int], dark: bool
) -> None:
    request_id = await used(service.address)
    async with browsing(service.address, viewport=viewport, dark=dark) as visit:
        found = {}
        for name in [*PAGES, f"generations/{request_id}", "nowhere"]:
            await visit.go(name)
            assert not await visit.page.locator(".failure").count(), name
            found[name] = (await visit.faults(), await visit.too_wide_px())
        assert found == dict.fromkeys(found, ([], 0))
        assert visit.complaints == []
        assert visit.hosts == {service.address.removeprefix("http://")}
        paths = {one.removeprefix(f"{service.address}/dashboard/") for one in visit.asked}
        assert FILES.keys() <= paths
    assert not service.log.of("defect")


async def test_the_pages_are_told_apart_by_title_focus_and_landmark(visit: Browsing) -> None:
    page = visit.page
    await visit.go("overview")
    assert await page.title() == "Overview · llm-service"
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Providers").click()
    await page.wait_for_function("() => document.activeElement.tagName === 'H1'")
    assert await page.title() == "Providers · llm-service"
    assert await text_of(page, "h1") == "Providers"
    assert await page.locator("nav [aria-current=page]").all_inner_texts() == ["Providers"]
    assert await page.locator("main").count() == 1


async def test_the_keyboard_gets_past_the_navigation(visit: Browsing) -> None:
    await visit.go("providers")
    await visit.page.evaluate("() => document.activeElement.blur()")
    await visit.page.keyboard.press("Tab")
    assert await visit.page.evaluate("() => document.activeElement.className") == "skip"
    await visit.page.keyboard.press("Enter")
    assert await visit.page.evaluate("() => document.activeElement.id") == "main"


async def test_on_a_phone_the_pages_unfold_and_fold(service: Running) -> None:
    async with browsing(service.address, viewport=PHONE) as visit:
        await visit.go("overview")
        menu = visit.page.get_by_role("button", name="Menu")
        nav = visit.page.get_by_role("navigation", name="Pages")
        assert not await nav.is_visible()
        await menu.click()
        await nav.get_by_role("link", name="Cache").click()
        await visit.page.wait_for_function("() => document.title.startsWith('Cache')")
        assert not await nav.is_visible()
        await menu.click()
        await visit.page.keyboard.press("Escape")
        assert not await nav.is_visible()


async def test_the_theme_is_chosen_and_kept(visit: Browsing) -> None:
    await visit.go("overview")
    grounds = []
    for _ in range(3):
        grounds.append(await visit.page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
        await visit.page.get_by_role("button", name="Theme").click()
    assert grounds[0] == grounds[1] != grounds[2]
    await visit.page.get_by_role("button", name="Theme").click()
    await visit.page.get_by_role("button", name="Theme").click()
    await visit.page.reload()
    await visit.page.wait_for_selector("h1")
    assert await visit.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == grounds[2]
    assert visit.complaints == []


# -- what is done there


async def test_a_key_is_made_shown_once_used_changed_and_revoked(service: Running, visit: Browsing) -> None:
    page = visit.page
    await visit.go("keys")
    await page.get_by_role("button", name="Create a key").click()
    await page.get_by_label("Name").fill("Chat of the support team")
    await page.get_by_label("Requests per minute").fill("30")
    await page.get_by_label("Budget (US dollars)").fill("12.50")
    await page.get_by_role("button", name="Create", exact=True).click()
    secret = await page.get_by_label("The secret").input_value()
    await page.get_by_role("button", name="I have kept it").click()
    answer = await ask(
        service.address, "POST", "/v1/chat/completions", chat_body(MODEL), Authorization=f"Bearer {secret}"
    )
    assert answer.status == 200
    row = page.get_by_role("row").filter(has_text="Chat of the support team")
    await page.wait_for_function("() => document.body.innerText.includes('$12.50 a month')")
    assert secret not in await page.content()

    await row.get_by_role("button", name="Edit").click()
    await page.get_by_label("Requests per minute").fill("")
    await page.get_by_label("Name").fill("Chat of the sales team")
    await page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="Chat of the sales team")
    await row.wait_for()
    assert "30 req/min" not in await row.inner_text()

    await row.get_by_role("button", name="Rotate").click()
    await page.get_by_role("button", name="Rotate", exact=True).last.click()
    assert await page.get_by_label("The secret").input_value() != secret
    await page.get_by_role("button", name="I have kept it").click()

    await row.get_by_role("button", name="Revoke").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await page.wait_for_function("() => document.body.innerText.includes('revoked')")
    refused = await ask(
        service.address, "POST", "/v1/chat/completions", chat_body(MODEL), Authorization=f"Bearer {secret}"
    )
    assert refused.status == 401
    assert visit.complaints == []


async def test_an_answer_streams_in_the_playground_and_is_found_in_records_and_cost(visit: Browsing) -> None:
    page = visit.page
    await visit.go("playground")
    await page.get_by_label("Model").fill(MODEL)
    await page.get_by_label("Message").fill(QUESTION)
    await page.get_by_role("button", name="Send").click()
    await page.wait_for_function("() => document.querySelector('.playground').innerText.includes('In all')")
    await page.get_by_role("button", name="Stop").wait_for(state="hidden")
    told = await text_of(page, ".playground > :last-child")
    assert [word for word in ("deepseek", "miss", "$", "Server-Timing", "provider") if word not in told] == []
    assert len(await text_of(page, ".said-by.assistant .words >> nth=-1")) > 5

    await page.get_by_role("link", name="Show the record").click()
    await page.get_by_role("heading", name="Where the time went").wait_for()
    assert await page.locator(".fall-bar").count() >= 2
    await visit.go("generations")
    await page.get_by_role("row").filter(has_text=MODEL).first.wait_for(timeout=30_000)
    await visit.go("usage")
    row = page.get_by_role("row").filter(has_text=MODEL)
    await row.wait_for()
    (charged,) = re.findall(r"\$0\.0\d*[1-9]\d*", told)  # twice as much at DeepSeek's peak hours
    assert charged in await row.inner_text()
    assert visit.complaints == []


async def test_a_waterfall_accounts_for_waits_and_for_what_ran_beside(visit: Browsing) -> None:
    await visit.go("overview")
    bars = "async (record) => (await import('/dashboard/waterfall.js')).barsOf(record).map((bar) => bar.slice(0, 3))"
    record = {
        "status": "ok",
        "provider": "b",
        "attempts": 2,
        "overhead_ms": 1,
        "first_chunk_ms": 80,
        "duration_ms": 100,
    }
    answered = {"provider": "b", "error_code": None, "duration_ms": 30}
    failed = {"provider": "a", "error_code": "upstream_timeout", "duration_ms": 20}
    assert await visit.page.evaluate(bars, {**record, "tries": [failed, answered]}) == [
        ["Service", 0, 1],
        ["Attempt 1: a, upstream_timeout", 1, 21],
        ["Waits between attempts", 21, 50],
        ["Attempt 2: b, until the first chunk", 50, 80],
        ["Answer, to its end", 80, 100],
    ]
    lost = {"provider": "a", "error_code": "lost", "duration_ms": 79}
    assert ["Attempt 1: a, lost", 1, 80] in await visit.page.evaluate(bars, {**record, "tries": [lost, answered]})


async def test_live_figures_are_drawn_as_they_come(service: Running, visit: Browsing) -> None:
    page = visit.page
    await visit.go("overview")
    await page.locator(".plot .uplot").first.wait_for()
    await page.get_by_text("live", exact=True).wait_for()
    await used(service.address)
    await page.wait_for_function(
        "() => /highest (?!0[ ;.])/.test(document.querySelector('.plot').getAttribute('aria-label'))", timeout=15_000
    )
    await page.get_by_text("Figures of Requests").click()
    await page.get_by_role("region", name="Figures of Requests").get_by_role("row").nth(1).wait_for()
    assert visit.complaints == []


async def test_an_answer_is_stopped(service: Running, visit: Browsing) -> None:
    page = visit.page
    await visit.go("playground")
    await page.get_by_label("Model").fill("plain/sandbox/stall-after-3")
    await page.get_by_label("Message").fill(QUESTION)
    await page.get_by_role("button", name="Send").click()
    await page.get_by_role("button", name="Stop").click()
    await page.get_by_role("button", name="Stop").wait_for(state="hidden")
    assert await page.get_by_role("button", name="Send").is_enabled()
    assert visit.complaints == []


async def test_an_answer_goes_on_after_a_reload(visit: Browsing) -> None:
    page = visit.page
    await visit.go("playground")
    await page.get_by_label("Model").fill("plain/sandbox/stall-after-3+stall-for-3s")
    await page.get_by_label("Message").fill(QUESTION)
    await page.get_by_role("button", name="Send").click()
    await page.wait_for_function("() => document.querySelector('.said-by.assistant > .words')?.textContent.length > 3")
    begun = await text_of(page, ".said-by.assistant > .words")
    await page.reload()
    await page.get_by_text(QUESTION).wait_for()
    await page.get_by_text("Ended with").wait_for()
    await page.wait_for_function("() => document.querySelector('.playground > :last-child').innerText.includes('stop')")
    whole = await text_of(page, ".said-by.assistant > .words")
    assert (whole.startswith(begun), len(whole) > len(begun) + 10) == (True, True)
    assert visit.complaints == []


async def test_a_provider_is_tried_switched_off_and_on(service: Running, visit: Browsing) -> None:
    page = visit.page
    await visit.go("providers")
    card = page.get_by_role("article", name="deepseek")
    await card.get_by_role("button", name="Test").click()
    await card.get_by_text("It answers").wait_for()
    await card.get_by_role("button", name="Disable").click()
    await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    await card.get_by_text("switched off at run time").wait_for()
    assert await page.evaluate("() => document.activeElement.closest('article') !== null")
    assert (await ask(service.address, "POST", "/v1/chat/completions", chat_body(MODEL))).status == 503
    await card.get_by_role("button", name="Enable").click()
    await card.get_by_role("button", name="Drain").wait_for()
    assert (await ask(service.address, "POST", "/v1/chat/completions", chat_body(MODEL))).status == 200
    assert visit.complaints == []


async def test_answers_are_forgotten_after_a_question(service: Running, visit: Browsing) -> None:
    await used(service.address)
    page = visit.page
    await visit.go("cache")
    await page.get_by_label("Forget by").select_option("all")
    await page.get_by_role("button", name="Forget").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert (await ask(service.address, "GET", "/admin/cache")).json()["store"]["entries"] == 1
    await page.get_by_role("button", name="Forget").click()
    await page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    await page.get_by_text("1 answer forgotten").wait_for()
    assert (await ask(service.address, "GET", "/admin/cache")).json()["store"]["entries"] == 0
    assert visit.complaints == []


async def test_usage_is_summed_as_asked_and_can_be_taken_along(service: Running, visit: Browsing) -> None:
    await used(service.address)
    page = visit.page
    await visit.go("usage?by=status")
    assert await page.get_by_role("rowheader", name="error", exact=True).count() == 1
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download CSV").click()
    lines = (await (await download.value).path()).read_text("utf-8").splitlines()
    assert (lines[0].startswith("request_id"), len(lines)) == (True, 4)


async def test_settings_are_found_masked_and_the_level_of_the_log_is_changed(visit: Browsing) -> None:
    page = visit.page
    await visit.go("configuration")
    await page.get_by_label("Find").fill("api_key")
    await page.get_by_text("set, and masked").first.wait_for()
    assert CREDENTIAL not in await page.content()
    assert not await page.get_by_role("heading", name="server").is_visible()
    await page.get_by_role("button", name="Log level").click()
    await page.get_by_label("Level", exact=True).select_option("debug")
    await page.get_by_role("dialog").get_by_role("button", name="Change").click()
    await page.get_by_role("heading", name="Decided at run time").wait_for()
    assert "debug" in await text_of(page, ".rows")
    assert visit.complaints == []


async def test_a_secret_stays_until_it_was_kept(visit: Browsing) -> None:
    page = visit.page
    await visit.go("keys")
    await page.get_by_role("button", name="Create a key").click()
    await page.get_by_label("Name").fill("Shown once")
    await page.get_by_role("button", name="Create", exact=True).click()
    secret = page.get_by_label("The secret")
    await secret.wait_for()
    for _ in range(3):
        await page.keyboard.press("Escape")
    await page.mouse.click(5, 5)
    assert await secret.is_visible()
    await page.get_by_role("button", name="I have kept it").click()
    assert visit.complaints == []


async def test_a_form_is_not_lost_when_a_mark_ends_beside_it_but_when_the_page_is_left(visit: Browsing) -> None:
    page = visit.page
    await visit.go("keys")
    await page.get_by_role("button", name="Create a key").click()
    name = page.get_by_label("Name")
    await name.fill("A long name of a key")
    place = await name.bounding_box()
    await page.mouse.move(place["x"] + 60, place["y"] + 10)
    await page.mouse.down()
    await page.mouse.move(8, 8)
    await page.mouse.up()
    assert await name.is_visible()
    await page.evaluate("() => { location.hash = '#/models'; }")
    await page.get_by_role("heading", name="Models").wait_for()
    assert not await page.get_by_role("dialog").count()


async def test_keys_are_found_and_the_newest_stand_first(service: Running, visit: Browsing) -> None:
    for number in range(120):
        key = {"name": f"Application {number}", "user": f"team-{number % 3}"}
        await ask(service.address, "POST", "/admin/keys", orjson.dumps(key))
    page = visit.page
    await visit.go("keys")
    names = page.locator("tbody strong")
    assert await names.count() == 100
    assert await names.first.inner_text() == "Application 119"
    await page.get_by_role("button", name="Show more").click()
    await page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 120")
    await page.get_by_label("Find").fill("application 11")
    await page.keyboard.press("Enter")
    await page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 11")
    assert page.url.endswith("#/keys?find=application+11")
    assert visit.complaints == []


async def test_order_and_place_outlive_what_is_shown_anew(service: Running, visit: Browsing) -> None:
    made = await ask(service.address, "POST", "/admin/keys", KEY_OF_LIMITS)
    page = visit.page
    await page.clock.install()
    await visit.go(f"limits?key_id={made.json()['id']}")
    order = page.get_by_role("columnheader", name="What")
    await order.get_by_role("button").click()
    before = await page.locator("tbody").element_handle()
    await page.clock.fast_forward(6000)
    await page.wait_for_function("(before) => !before.isConnected", arg=before)
    await visit.settled()
    assert await order.get_attribute("aria-sort") == "ascending"
    assert await page.evaluate("() => document.activeElement.textContent") == "What"
    assert visit.complaints == []


async def test_a_long_name_hides_no_column(service: Running, visit: Browsing) -> None:
    model = "plain/" + "a-name-that-a-caller-made-up-" * 8
    await ask(service.address, "POST", "/v1/chat/completions", chat_body(model))
    for name in ("generations", "usage"):
        await visit.go(name)
        await visit.page.locator(f"[title='{model}']").wait_for(timeout=30_000)
        assert await visit.page.evaluate("() => document.querySelector('.name').getBoundingClientRect().width") < 400
    assert visit.complaints == []


async def test_generations_are_found_by_their_tag_and_time(service: Running, visit: Browsing) -> None:
    page = visit.page
    for team in ("red", "blue"):
        await ask(service.address, "POST", "/v1/chat/completions", chat_body(MODEL), **{"X-LLM-Tags": f"team={team}"})
    await visit.go("generations")
    rows = page.locator("tbody tr")
    await page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 2", timeout=30_000)
    await page.get_by_label("Tag").fill("team=red")
    await page.get_by_label("Tag").press("Enter")
    await page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 1")
    await page.get_by_label("Period").select_option("Last hour")
    await page.wait_for_function("() => location.hash.includes('span=3600')")
    assert (await rows.count(), "tag=team" in page.url) == (1, True)
    await page.get_by_label("Period").select_option("From … to …")
    await page.get_by_label("To").fill("2026-01-01T00:00")
    await page.get_by_text("No generation fits").wait_for()
    await page.reload()
    await page.get_by_text("No generation fits").wait_for()
    assert await page.get_by_label("To").input_value() == "2026-01-01T00:00"
    assert visit.complaints == []


# -- the way in


async def test_who_has_the_key_gets_in_and_out(locked: Running) -> None:
    async with browsing(locked.address) as visit:
        page = visit.page
        await page.goto(f"{locked.address}/dashboard")
        await page.get_by_role("heading", name="Sign in").wait_for()
        assert await page.evaluate("() => document.activeElement.name") == "key"
        assert visit.complaints == []
        await page.get_by_label("Key").fill("wrong")
        await page.keyboard.press("Enter")
        await page.get_by_role("alert").filter(has_text="not known").wait_for()
        assert (len(visit.complaints), await visit.faults() if AXE.is_file() else []) == (1, [])
        await page.get_by_label("Key").fill(ADMIN_KEY)
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Overview").wait_for()
        assert await page.evaluate("() => document.activeElement.tagName") == "H1"
        await page.reload()
        await page.get_by_role("heading", name="Overview").wait_for()
        assert not await page.evaluate("() => document.cookie")
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("heading", name="Sign in").wait_for()
        assert (await page.context.cookies()) == []
        assert len(visit.complaints) == 1


async def test_changes_work_under_a_session_and_end_with_its_key(locked: Running) -> None:
    keys = locked.stores.keys
    issued = await keys.create({"name": "An operator", "scopes": ["admin"]})
    async with browsing(locked.address) as visit:
        page = visit.page
        await visit.page.goto(f"{locked.address}/dashboard#/keys")
        await page.get_by_label("Key").fill(issued.secret.reveal())
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Create a key").click()
        await page.get_by_label("Name").fill("Made under a session")
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.get_by_role("button", name="I have kept it").click()
        await page.get_by_role("row").filter(has_text="Made under a session").wait_for()
        await visit.go("generations")
        await page.get_by_text("No generations yet").wait_for()
        assert visit.complaints == []
        await keys.revoke(issued.key.id)
        await page.get_by_role("link", name="Providers").click()
        await page.get_by_role("heading", name="Sign in").wait_for()
        await page.get_by_text("Your session is over").wait_for()


async def test_no_dialog_outlives_the_session(locked: Running) -> None:
    issued = await locked.stores.keys.create({"name": "An operator", "scopes": ["admin"]})
    async with browsing(locked.address) as visit:
        page = visit.page
        await page.goto(f"{locked.address}/dashboard#/keys")
        await page.get_by_label("Key").fill(issued.secret.reveal())
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Create a key").click()
        await page.get_by_label("Name").fill("Too late")
        await locked.stores.keys.revoke(issued.key.id)
        await page.get_by_role("button", name="Create", exact=True).click()
        await page.get_by_role("heading", name="Sign in").wait_for()
        assert not await page.get_by_role("dialog").count()


async def test_a_reader_sees_what_readers_may(locked: Running) -> None:
    issued = await locked.stores.keys.create({"name": "A reader", "scopes": ["read"]})
    async with browsing(locked.address) as visit:
        page = visit.page
        await page.goto(f"{locked.address}/dashboard#/usage")
        await page.get_by_label("Key").fill(issued.secret.reveal())
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Usage and cost").wait_for()
        await visit.go("keys")
        await page.get_by_text("Not for this key").wait_for()
        assert visit.complaints == []
