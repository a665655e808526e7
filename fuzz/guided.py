"""One target under atheris (libFuzzer): ``python -m fuzz.guided TARGET [LIBFUZZER OPTIONS] [FOLDERS]``."""

import sys

import atheris

if __name__ == "__main__":
    with atheris.instrument_imports(include=["llm_service"]):
        from fuzz.targets import TARGETS

    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
