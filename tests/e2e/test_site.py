"""The documentation site in a real browser, opened as files: it asks nobody, all can read it, and its search finds."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.browser import AXE, DESKTOP, PHONE, browsing

CHECKOUT = Path(__file__).parents[2]
SITE = CHECKOUT / "build" / "docs" / "site"
LOOKED_AT = ("index", "quickstart", "configuration", "explanation/request", "reference/rest", "decisions/index")


@pytest.fixture(scope="module")
def site() -> Path:
    """The site, built; the first time its environment is made, too."""
    outside = {name: value for name, value in os.environ.items() if name != "LLM_SERVICE_VENV_DIR"}
    subprocess.run([CHECKOUT / "scripts" / "docs"], check=True, env=outside)
    return SITE


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("viewport", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False)])
async def test_pages_come_from_the_site_alone_and_fit(site: Path, viewport: dict[str, int], dark: bool) -> None:
    async with browsing(site.as_uri(), viewport=viewport, dark=dark) as visit:
        for page in LOOKED_AT:
            await visit.page.goto(f"{site.as_uri()}/{page}.html")
            assert await visit.too_wide_px() <= 0, page
        assert visit.hosts == {""}, "files have no host"
        assert visit.complaints == []


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed")
@pytest.mark.parametrize(("viewport", "dark"), [(DESKTOP, False), (DESKTOP, True), (PHONE, False)])
async def test_all_can_read_its_pages(site: Path, viewport: dict[str, int], dark: bool) -> None:
    async with browsing(site.as_uri(), viewport=viewport, dark=dark) as visit:
        for page in LOOKED_AT:
            await visit.page.goto(f"{site.as_uri()}/{page}.html")
            assert await visit.faults() == [], page


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_the_search_finds_without_a_server(site: Path) -> None:
    async with browsing(site.as_uri()) as visit:
        await visit.page.goto(f"{site.as_uri()}/index.html")
        await visit.page.keyboard.press("/")
        await visit.page.keyboard.type("idempotency")
        await visit.page.wait_for_selector("a[href*='configuration.html']:has-text('Idempotency')")
        assert visit.complaints == []
