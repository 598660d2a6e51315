"""A media file that arrives in pieces: decodes it while it arrives, in threads of its own.

libavformat reads from a pipe. An MP4 with its index at the end, as phones write them, cannot be decoded before its end: it is
kept in memory until then.
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
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_BLOCK = RATE // 10  # 0.1 s of audio at once
_MOST_BLOCKS = 600  # blocks that are decoded ahead of the reader: 60 s
MOST_UNREAD = 1 << 20
"""Bytes of a file that wait for the decoder, from which on the caller should pass no more."""
MOST_KEPT = 64 << 20
"""Bytes of a file that is decoded after its end: an hour of AAC with 128 kbit/s."""
_UNDECIDED = 1 << 20  # bytes after which the order of the boxes no longer matters
_HEADER = 8  # bytes of a box: its size, and its type


class _Boxes:
    """Reads the types of the top-level boxes of an MP4 file as it arrives (ISO/IEC 14496-12 §4.2)."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._at = 0  # of the next box

    def push(self, data: bytes) -> bool | None:
        """True if the samples come before their index, False if not or if it is no MP4; None as long as it is not known."""
        if self._at < _UNDECIDED:
            self._head += data
        while len(self._head) >= self._at + _HEADER:
            size = int.from_bytes(self._head[self._at : self._at + 4], "big")
            kind = bytes(self._head[self._at + 4 : self._at + _HEADER])
            if kind == b"mdat":
                return True
            if kind == b"moov" or size < _HEADER or (self._at == 0 and kind != b"ftyp"):
                return False
            self._at += size
        return False if len(self._head) >= _UNDECIDED or self._at >= _UNDECIDED else None


class LiveFile:
    """Push the bytes of one file, poll its audio. All channels of the file are mixed into one."""

    def __init__(self) -> None:
        self._boxes: _Boxes | None = _Boxes()
        self._first: list[bytes] = []  # pieces until it is known how to decode them
        self._kept: int | None = None  # descriptor of a file in memory, which is decoded after its end
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._blocks: queue.Queue[Floats | None] = queue.Queue(maxsize=_MOST_BLOCKS)
        self._closed = threading.Event()
        self._pushed = self._written = 0  # bytes; each is changed by one thread only
        self.error: str | None = None
        """What is wrong with the file; None while nothing is."""
        self._done = False

    @property
    def full(self) -> bool:
        """True while `MOST_UNREAD` bytes wait for the decoder."""
        return self._kept is None and self._boxes is None and self._pushed - self._written >= MOST_UNREAD

    def push(self, data: bytes) -> None:
        """Add the next bytes of the file."""
        self._pushed += len(data)
        if self._kept is not None:
            self._keep(data)
        elif self._boxes is None:
            self._pieces.put(data)
        else:
            self._first.append(data)
            if (late := self._boxes.push(data)) is not None:
                self._decide(late=late)

    def finish(self) -> None:
        """The file has ended."""
        if self._boxes is not None:
            self._decide(late=False)
        if self._kept is not None:
            kept, self._kept = self._kept, None
            os.lseek(kept, 0, os.SEEK_SET)
            self._start(self._decode, kept)
        else:
            self._pieces.put(None)

    def _decide(self, *, late: bool) -> None:
        """Decode the file as it arrives, or with *late* after its end."""
        self._boxes = None
        if late:
            self._kept = os.memfd_create("live-file")
            for piece in self._first:
                self._keep(piece)
        else:
            read_end, write_end = os.pipe()
            for piece in self._first:
                self._pieces.put(piece)
            self._start(self._write, write_end)
            self._start(self._decode, read_end)
        self._first = []

    def _keep(self, data: bytes) -> None:
        if self.error is not None or self._kept is None:
            return
        if self._pushed > MOST_KEPT:
            most = MOST_KEPT >> 20
            self.error = (
                f"an MP4 file with its index at the end must have at most {most} MiB; write the index first (faststart)"
            )
            self._blocks.put(None)
            return
        view = memoryview(data)
        while view:
            view = view[os.write(self._kept, view) :]

    @staticmethod
    def _start(target: "Callable[[int], None]", descriptor: int) -> None:
        threading.Thread(target=target, args=(descriptor,), name="live-file", daemon=True).start()

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
        """Stop the threads, and forget the file."""
        self._closed.set()
        self._pieces.put(None)
        if self._kept is not None:
            os.close(self._kept)
            self._kept = None
        with contextlib.suppress(queue.Empty):
            while True:
                self._blocks.get_nowait()

    def _write(self, write_end: int) -> None:
        with os.fdopen(write_end, "wb", buffering=0) as pipe, contextlib.suppress(OSError):
            while (piece := self._pieces.get()) is not None and not self._closed.is_set():
                view = memoryview(piece)
                while view:
                    view = view[pipe.write(view) :]
                self._written += len(piece)

    def _decode(self, source: int) -> None:
        try:
            for block in media.decode(source, block=_BLOCK):
                if not self._put(block[0]):
                    return
        except MediaUnreadable as error:
            self.error = error.why or "the file cannot be decoded"
        except Exception as error:  # noqa: BLE001 - a fault of one file must not end the process
            self.error = f"the file cannot be decoded: {type(error).__name__}"
        finally:
            os.close(source)
            self._put(None)

    def _put(self, block: "Floats | None") -> bool:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._blocks.put(block, timeout=0.2)
                return True
        return False
