"""``python -m scripts.website build`` or ``serve``: the documentation site, in build/docs/site."""

import argparse
import os
import re
import subprocess
import sys
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from scripts.website import built, navigation
from scripts.website.staging import CHECKOUT, CannotBuildError, stage, tracked

SETTINGS: Final = CHECKOUT / "docs" / "site" / "zensical.toml"
FOLDER: Final = CHECKOUT / "build" / "docs"
SITE: Final = FOLDER / "site"
COLOURS: Final = re.compile(r"\x1b\[[\d;]*m")
LOOK_EVERY_S: Final = 1.0


def build() -> None:
    """Stage, build and look over. Raises CannotBuildError."""
    pages = stage(FOLDER / "pages")
    entries = navigation.filled(navigation.load(), pages)
    settings = SETTINGS.read_text(encoding="utf-8")
    config = FOLDER / "zensical.toml"
    config.write_text(settings.replace("[project]\n", f"[project]\nnav = {navigation.as_toml(entries)}\n", 1), "utf-8")
    command = (sys.executable, "-P", "-m", "zensical", "build", "--clean", "--strict", "--config-file", str(config))
    done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=FOLDER)
    if done.returncode:
        raise CannotBuildError([COLOURS.sub("", done.stdout).partition("Traceback (most")[0].strip()])
    if found := built.problems(SITE):
        raise CannotBuildError(found)
    say(f"{len(pages)} pages: {os.path.relpath(SITE / 'index.html')}")


def serve(port: int) -> None:
    """Serve the site to this machine, and build it anew when a file of it changes, until Ctrl-C."""
    handler = partial(Quiet, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        say(f"http://127.0.0.1:{server.server_port}")
        seen = state()
        while True:
            time.sleep(LOOK_EVERY_S)
            if (now := state()) != seen:
                seen = now
                try_to_build()


def state() -> dict[str, int]:
    """When each file that can be on the site was changed."""
    shown = (name for name in tracked() if name.endswith(".md") or name.startswith("docs/"))
    return {name: (CHECKOUT / name).stat().st_mtime_ns for name in shown}


def try_to_build() -> bool:
    """Whether there is a site; else it is said what to mend."""
    try:
        build()
    except CannotBuildError as error:
        say("The documentation cannot be built:", *error.problems)
        return False
    return True


class Quiet(SimpleHTTPRequestHandler):
    """Files, without a line for each."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


def say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/docs", description="The documentation site, in build/docs/site.")
    parser.add_argument("what", nargs="?", choices=("build", "serve"), default="build")
    parser.add_argument("--port", type=int, default=8090, help="of serve; 0 takes a free one")
    asked = parser.parse_args()
    done = try_to_build()
    if asked.what == "serve" and done:
        try:
            serve(asked.port)
        except KeyboardInterrupt:
            return 0
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
