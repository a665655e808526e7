"""``scripts/image-tree``: says what it does there."""

import os
import sys
from pathlib import Path

from scripts.image.dockerfile import read
from scripts.image.tree import Tree, build_anew, is_possible, lay_out


def main(*arguments: str) -> int:
    if not arguments or arguments[0].startswith("-"):
        print("scripts/image-tree FOLDER [COMMAND ...]", file=sys.stderr)
        return 2
    if reason := is_possible():
        print(f"scripts/image-tree: {reason}", file=sys.stderr)
        return 1
    folder, *command = arguments
    base = Path(folder).absolute()
    root, volume = base / "root", base / "volume"
    if root.exists():
        tree = Tree(root=root, image=read()[-1])
    else:
        tree = lay_out(root, build_anew)
        volume.mkdir(mode=0o700)
        os.chown(volume, *tree.user)
        print(f"{root}: {size_of(root) / 1e6:.0f} MB beside the base image", file=sys.stderr)
    if not command:
        return 0
    given = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("LLM_SERVICE_", "OPENROUTER_", "DEEPSEEK_"))
    }
    return tree.started(tree.command(*command), volume=volume, variables=given).wait()


def size_of(root: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
