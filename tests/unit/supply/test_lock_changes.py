"""What a new lock changes is told by its size: what has to be read about stands on top."""

from pathlib import Path

import pytest
from scripts.lock_changes import changes, main, pins, step


@pytest.mark.parametrize(
    ("old", "new", "size"),
    [
        ("1.2.3", "2.0.0", "major"),
        ("1.2.3", "1.3.0", "minor"),
        ("1.2.3", "1.2.4", "patch"),
        ("0.54.0", "0.55.0", "major"),
        ("0.54.0", "0.54.1", "patch"),
        ("2026.1.4", "2026.11.2", "minor"),
        ("1.0", "1.0.post1", "patch"),
    ],
)
def test_a_step_is_as_large_as_the_first_number_that_differs(old: str, new: str, size: str) -> None:
    assert step(old, new) == size


def test_all_locks_are_read_with_their_markers_and_hashes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, pin in ((before, "1.0.0"), (after, "1.1.0")):
        folder.mkdir()
        (folder / "run.lock").write_text(
            f"orjson=={pin} ; python_version >= '3.11' \\\n    --hash=sha256:ab\n    # via uvicorn\n"
            "uvicorn==0.54.0 \\\n"
        )
    (before / "lint.lock").write_text("gone==3\n")
    (after / "lint.lock").write_text("Fresh[extra]==4.0\nuvicorn==0.54.0\n")
    assert pins(before) == {"orjson": "1.0.0", "uvicorn": "0.54.0", "gone": "3"}
    assert list(changes(pins(before), pins(after))) == [
        ("fresh", "new", "-", "4.0"),
        ("gone", "gone", "3", "-"),
        ("orjson", "minor", "1.0.0", "1.1.0"),
    ]
    main(str(before), str(after))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["gone", "gone"], ["new", "fresh"], ["minor", "orjson"], ["3", "packages"]
    ]  # fmt: skip


def test_the_locks_of_this_checkout_are_read() -> None:
    found = pins(Path(__file__).parents[3] / "requirements")
    assert {"uvicorn", "orjson", "aiohttp", "pytest"} <= found.keys()
    assert not [name for name, versions in found.items() if ", " in versions and name in {"uvicorn", "orjson"}]
