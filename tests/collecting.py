"""The collection of the tests: without Python's garbage collector, and in a fresh clone by one process of pytest before the others.

The first process compiles this package and that of the product; without an order, all processes would compile all of it.
"""

import gc
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MARK = "FIRST_COLLECTION"
"""The variable with the path of the file that is there once the first process has collected; empty if nobody has to wait."""
_FIRST = "gw0"
_PATIENCE = 180.0
"""Seconds after which the others collect in any case."""


def share() -> None:
    """Decide whether there is an order, unless a parent process has done so. Processes that this one starts inherit it."""
    if _MARK not in os.environ:
        compiled = (Path(__file__).parent / "unit" / "__pycache__").exists()
        os.environ[_MARK] = "" if compiled else f"{tempfile.gettempdir()}/sottovoce-collected-{os.getpid()}"


def forget() -> None:
    """Remove the file."""
    if mark := os.environ.get(_MARK):
        Path(mark).unlink(missing_ok=True)


@contextmanager
def collecting() -> Iterator[None]:
    """Around the collection.

    Modules and tests are 800,000 objects that stay until the end, and each full collection of garbage would look at all of
    them: during the block there is none, and later ones leave them out.
    """
    mark, worker = os.environ.get(_MARK), os.environ.get("PYTEST_XDIST_WORKER")
    if mark and worker and worker != _FIRST:
        deadline = time.monotonic() + _PATIENCE
        while not Path(mark).exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if mark and worker == _FIRST:
            Path(mark).touch()
