"""The number of pieces of its job that each child may process in parallel; written by the pool, read by every child.

A single long job would otherwise leave all cores but one idle: its child uses the slots that no other job needs, and
stops using them when another job starts. The number is in shared memory, because a busy child does not read its socket.
"""

import contextlib
import mmap
import os

_SIZE = mmap.PAGESIZE


class Share:
    """The parent's end: *slots* (one core each), divided among the busy children."""

    def __init__(self, slots: int) -> None:
        self._slots = max(slots, 1)
        self.descriptor = os.memfd_create("sottovoce-share", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, _SIZE)
        self._memory = mmap.mmap(self.descriptor, _SIZE)
        self.divide(0)

    def divide(self, busy: int) -> None:
        """Give each of *busy* children an equal part of the slots: at least 1, at most 255 (the number is one byte)."""
        self._memory[0] = min(max(self._slots // max(busy, 1), 1), 255)

    def close(self) -> None:
        """Close the shared memory. A child keeps its own mapping of it."""
        self._memory.close()
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


class Part:
    """The child's end, over the inherited *descriptor*, which it closes."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _SIZE, prot=mmap.PROT_READ)
        os.close(descriptor)

    def width(self) -> int:
        """Return the number of pieces that this child may process in parallel now; 1 or more."""
        return max(self._memory[0], 1)
