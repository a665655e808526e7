"""Pages are staged with all that they link to, and their links lead there."""

import subprocess
from pathlib import Path

import pytest
from scripts.website.staging import place, stage, staged


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("docs/keys.md", "keys.md"),
        ("docs/images/a.png", "images/a.png"),
        ("README.md", "index.md"),
        ("bench/README.md", "project/bench/README.md"),
        ("deploy/prometheus/prometheus.yml", "files/deploy/prometheus/prometheus.yml"),
    ],
)
def test_each_file_has_its_place(name: str, where: str) -> None:
    assert place(name) == where


def test_links_lead_to_the_places_of_the_site() -> None:
    text = "[a](../../README.md) [b](../keys.md#use-it) [c](../../deploy/x.yml) [d](#here) [e](https://a.example/)"
    assert staged("docs/deploy/docker.md", text) == (
        "[a](../index.md) [b](../keys.md#use-it) [c](../files/deploy/x.yml) [d](#here) [e](https://a.example/)"
    )
    assert staged("SECURITY.md", "[a](docs/keys.md)") == "[a](../keys.md)"


def test_what_is_staged_is_whole(tmp_path: Path) -> None:
    files = {
        "docs/index.md": "[a file](../deploy/a.yml)\n",
        "docs/images/a.svg": "<svg/>",
        "docs/site/navigation.toml": "entries = []",
        "docs/site/site.css": "",
        "deploy/a.yml": "a: 1\n",
        "deploy/b.yml": "b: 1\n",
        "README.md": "# front\n",
        "CHANGELOG.md": "[keys](docs/index.md)\n",
    }
    checkout, folder = tmp_path / "checkout", tmp_path / "pages"
    for name, text in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", str(checkout)], check=True)
    (folder / "old.md").parent.mkdir()
    (folder / "old.md").touch()

    assert stage(folder, checkout) == ["index.md", "project/CHANGELOG.md"]
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {"index.md", "project/CHANGELOG.md", "images/a.svg", "site/site.css", "files/deploy/a.yml"}
    assert (folder / "index.md").read_text() == "[a file](files/deploy/a.yml)\n"
    assert (folder / "project/CHANGELOG.md").read_text() == "[keys](../index.md)\n"
