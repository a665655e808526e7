"""The built site, looked over: what its pages load from other hosts, and where their links lead to nothing."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote

_LOADS: Final = {
    **dict.fromkeys(
        ("script", "img", "source", "iframe", "embed", "video", "audio", "track", "input"), ("src", "srcset")
    ),
    "object": ("data",),
    "form": ("action",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
}
_LINKS_THAT_LOAD: Final = {
    *("stylesheet", "icon", "shortcut", "apple-touch-icon", "mask-icon", "manifest", "preload", "modulepreload"),
    *("prefetch", "preconnect", "dns-prefetch"),
}
_IN_STYLES: Final = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
_ELSEWHERE: Final = re.compile(r"(?!data:|blob:)[a-zA-Z][\w+.-]*:|//")


class Page(HTMLParser):
    """What one page loads, links to, and has for links to lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        self.loads += _in_style(given.get("style", ""))
        self.loads += [
            part.split()[0] for name in _LOADS.get(tag, ()) for part in given.get(name, "").split(",") if part
        ]
        if tag == "link" and _LINKS_THAT_LOAD & set(given.get("rel", "").split()):
            self.loads.append(given.get("href", ""))
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.loads.append(given.get("content", "").partition("url=")[2])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.loads += _in_style(data)


def problems(site: Path) -> list[str]:
    """Everything that a reader without a network would miss, one line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [
        f"{_name(path, site)} loads {address}" for path, page in pages.items() for address in _from_elsewhere(page)
    ]
    for path in sorted(site.rglob("*.css")):
        styles = _in_style(path.read_text(encoding="utf-8"))
        found += [f"{_name(path, site)} loads {address}" for address in styles if _ELSEWHERE.match(address)]
    for path, page in pages.items():
        found += [
            f"{_name(path, site)} links to {link}, which is not there" for link in _broken(path, page, pages, site)
        ]
    return found


def _from_elsewhere(page: Page) -> Iterator[str]:
    return (address for address in page.loads if _ELSEWHERE.match(address))


def _broken(path: Path, page: Page, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    for link in dict.fromkeys(page.links):
        if _ELSEWHERE.match(link):
            continue
        name, _, anchor = unquote(link).partition("#")
        # The page for what is not found is shown at any address, so its links begin at the root.
        there = (site / name.lstrip("/") if name.startswith("/") else path.parent / name).resolve() if name else path
        if there.is_dir():
            there /= "index.html"
        if not there.is_file() or (anchor and there in pages and anchor not in pages[there].anchors):
            yield link


def _in_style(text: str) -> list[str]:
    return [first or second for first, second in _IN_STYLES.findall(text)]


def _name(path: Path, site: Path) -> str:
    return path.relative_to(site).as_posix()
