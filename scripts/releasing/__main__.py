"""``scripts/release``: rehearses a release, or makes it."""

import sys
from pathlib import Path

from scripts.releasing.places import CannotReleaseError
from scripts.releasing.release import Release, now, rehearsed, told

CHECKOUT = Path(__file__).parents[2]


def main(*arguments: str) -> int:
    words, real = [one for one in arguments if one != "--make"], "--make" in arguments
    if len(words) != 1 or words[0].startswith("-"):
        print("scripts/release VERSION [--make]", file=sys.stderr)
        return 2
    try:
        if not real:
            print(rehearsed(CHECKOUT, words[0], now()))
            print("A rehearsal: nothing was changed. --make does the same here, and pushes nothing.")
            return 0
        release = Release(CHECKOUT, words[0], now())
        release.make()
    except CannotReleaseError as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 1
    print(told(release))
    print(f"Made in {release.folder}. Look at it, then push the commit and {release.tag}, and upload the files.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
