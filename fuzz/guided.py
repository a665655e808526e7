"""The same targets under atheris (libFuzzer), where it is installed: ``python -m fuzz.guided TARGET [LIBFUZZER OPTIONS]``."""

import sys

import atheris

if __name__ == "__main__":
    with atheris.instrument_imports(include=["llm_service"]):
        from fuzz.targets import TARGETS

    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
