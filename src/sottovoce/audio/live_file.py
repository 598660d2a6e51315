"""A media file that arrives in pieces: decodes it while it arrives, in threads of its own.

libavformat reads from a pipe, so formats that need their end first (an MP4 with its index at the end) cannot be decoded.
"""

import contextlib
import os
import queue
import threading
from typing import TYPE_CHECKING

from sottovoce.audio import media
from sottovoce.errors import MediaUnreadable
from sottovoce.transcript.model import RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_BLOCK = RATE // 10  # 0.1 s of audio at once
_MOST_BLOCKS = 600  # blocks that are decoded ahead of the reader: 60 s


class LiveFile:
    """Push the bytes of one file, poll its audio. All channels of the file are mixed into one."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._blocks: queue.Queue[Floats | None] = queue.Queue(maxsize=_MOST_BLOCKS)
        self._closed = threading.Event()
        self.error: str | None = None
        """What is wrong with the file; None while nothing is."""
        self._done = False
        self._threads = [
            threading.Thread(target=target, name="live-file", daemon=True) for target in (self._write, self._decode)
        ]
        for thread in self._threads:
            thread.start()

    def push(self, data: bytes) -> None:
        """Add the next bytes of the file."""
        self._pieces.put(data)

    def finish(self) -> None:
        """The file has ended."""
        self._pieces.put(None)

    def poll(self, timeout: float) -> "Floats | None":
        """Return the next audio, float32[n] at 16 kHz, or None if there is none within *timeout* seconds."""
        try:
            block = self._blocks.get(timeout=timeout) if timeout else self._blocks.get_nowait()
        except queue.Empty:
            return None
        if block is None:
            self._done = True
        return block

    def done(self) -> bool:
        """Return True when all audio was polled."""
        return self._done

    def close(self) -> None:
        """Stop both threads."""
        self._closed.set()
        self._pieces.put(None)
        with contextlib.suppress(queue.Empty):
            while True:
                self._blocks.get_nowait()

    def _write(self) -> None:
        with os.fdopen(self._write_end, "wb", buffering=0) as pipe, contextlib.suppress(OSError):
            while (piece := self._pieces.get()) is not None and not self._closed.is_set():
                view = memoryview(piece)
                while view:
                    view = view[pipe.write(view) :]

    def _decode(self) -> None:
        try:
            for block in media.decode(self._read_end, block=_BLOCK):
                if not self._put(block[0]):
                    return
        except MediaUnreadable as error:
            self.error = error.why or "the file cannot be decoded"
        except Exception as error:  # noqa: BLE001 - a fault of one file must not end the process
            self.error = f"the file cannot be decoded: {type(error).__name__}"
        finally:
            os.close(self._read_end)
            self._put(None)

    def _put(self, block: "Floats | None") -> bool:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._blocks.put(block, timeout=0.2)
                return True
        return False
