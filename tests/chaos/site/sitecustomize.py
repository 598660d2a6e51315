"""A clock that jumps: `time.time` and `time.time_ns` are ahead by the seconds in a shared file of eight bytes."""

import mmap
import os
import struct
import time


def _jumping(path: str) -> None:
    with open(path, "r+b") as file:  # noqa: PTH123 - before anything else is imported
        shared = mmap.mmap(file.fileno(), 8)
    real, real_ns = time.time, time.time_ns

    def ahead() -> int:
        return int(struct.unpack("<q", shared[:8])[0])

    time.time = lambda: real() + ahead()
    time.time_ns = lambda: real_ns() + ahead() * 1_000_000_000


if "CHAOS_CLOCK" in os.environ:
    _jumping(os.environ["CHAOS_CLOCK"])
