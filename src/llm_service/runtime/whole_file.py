"""A file that is there when it is complete, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from llm_service.runtime.data_dir import sync_folder


@contextmanager
def written_whole(out: Path) -> Iterator[IO[bytes]]:
    """A private file to write into, which is ``out``, on the disk, when the block ends well, and gone when it does not.

    Until then its name begins with a dot and that of ``out``. Raises OSError.
    """
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(handle)
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(out.parent)
