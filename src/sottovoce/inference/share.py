"""How many pieces of one job a child may work on at once: one number, written by the pool, read by every child.

A child with a long job alone on the machine would leave all cores but its own idle. So it may use the slots that no other
job needs, and gives them back as soon as one does. The number lies in memory that parent and children share, because a
child at work reads nothing from its line.
"""

import contextlib
import mmap
import os

_SIZE = mmap.PAGESIZE


class Share:
    """The parent's end: *slots* cores' worth of work, divided among the children at work."""

    def __init__(self, slots: int) -> None:
        self._slots = max(slots, 1)
        self.descriptor = os.memfd_create("sottovoce-share", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, _SIZE)
        self._memory = mmap.mmap(self.descriptor, _SIZE)
        self.divide(0)

    def divide(self, busy: int) -> None:
        """Let each of *busy* children have an equal part of the slots, one at least."""
        self._memory[0] = min(max(self._slots // max(busy, 1), 1), 255)

    def close(self) -> None:
        """Let the memory go. A child that still reads it has its own hold on it."""
        self._memory.close()
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


class Part:
    """The child's end, over the *descriptor* that it was started with."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _SIZE, prot=mmap.PROT_READ)
        os.close(descriptor)

    def width(self) -> int:
        """How many pieces this child may work on at once now; 1 or more."""
        return max(self._memory[0], 1)
