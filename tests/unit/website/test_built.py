"""The built site is looked over: nothing comes from elsewhere, nothing leads nowhere."""

from pathlib import Path

import pytest
from scripts.website.built import problems


def site(folder: Path, **pages: str) -> Path:
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text)
    return folder


@pytest.mark.parametrize(
    "element",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/a.css">',
        '<link rel="preconnect" href="https://cdn.example">',
        '<img src="https://cdn.example/a.png" alt="">',
        '<img src="a.html" srcset="a.html 1x, https://cdn.example/a.png 2x" alt="">',
        '<iframe src="http://cdn.example/"></iframe>',
        "<style>@font-face { src: url(https://cdn.example/a.woff2) }</style>",
        "<style>@import 'https://cdn.example/a.css';</style>",
        '<p style="background: url(https://cdn.example/a.png)">',
        '<meta http-equiv="refresh" content="0; url=https://cdn.example/">',
    ],
)
def test_what_a_page_loads_from_another_host_is_found(tmp_path: Path, element: str) -> None:
    (found,) = problems(site(tmp_path, a=element))
    assert found.startswith("a.html loads ")
    assert "cdn.example" in found


def test_style_sheets_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a { background: url('https://cdn.example/a.png') } b { background: url(data:x) }")
    assert problems(tmp_path) == ["a.css loads https://cdn.example/a.png"]


@pytest.mark.parametrize("link", ["none.html", "a.html#none", "#none", "folder", "/none.html"])
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str) -> None:
    (tmp_path / "folder").mkdir()
    assert problems(site(tmp_path, a=f'<p id="here"><a href="{link}">')) == [
        f"a.html links to {link}, which is not there"
    ]


def test_what_is_as_it_should_be_is_no_problem(tmp_path: Path) -> None:
    good = """<link rel="canonical" href="https://docs.example/a"><script src="b.js"></script><img src="data:x" alt="">
    <p id="here"><a href="#here"><a href="b.html#there"><a href="https://elsewhere.example/"><a href="/a.html">"""
    assert problems(site(tmp_path, a=good, b='<h2 id="there">')) == []
