"""Space on the disk of an embedded region that a deletion may use when the disk is full: deletions make room, so they must work."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 1 << 20
"""Bytes: several times what SQLite's write-ahead log needs for one deletion."""


class Ballast:
    """A file without content of use. *path* is on the disk of the region's database."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        self._path = path
        self._size = size

    def restore(self) -> None:
        """Write the file if it is missing or too small. Does nothing while the disk is full."""
        with contextlib.suppress(OSError):
            if self._path.exists() and self._path.stat().st_size >= self._size:
                return
            with self._path.open("wb") as file:  # written, not only sized: a sparse file occupies no space
                file.write(os.urandom(self._size))
                file.flush()
                os.fsync(file.fileno())

    @contextmanager
    def released(self) -> Iterator[None]:
        """Free the space for the block, and try to occupy it again after it."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        try:
            yield
        finally:
            self.restore()
