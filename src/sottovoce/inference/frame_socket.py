"""A child's end of the socket to its parent, and its death with the parent."""

import ctypes
import os
import select
import signal
import socket
import threading

from sottovoce.inference import messages as m

_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread that started it ends; exit at once if *parent* has ended."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


class FrameSocket:
    """One end of the socket: blocking, one frame at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sending = threading.Lock()

    def send(self, message: m.Message, payload: bytes = b"", timeout: float | None = None) -> None:
        """Send one frame; several threads may do so, those without *timeout*. Raises `TimeoutError` after *timeout* seconds."""
        frame = m.encode(message, payload)
        with self._sending:
            if timeout is not None:
                self._sock.settimeout(timeout)
            self._sock.sendall(frame)

    def receive(self, timeout: float | None = None) -> tuple[m.Message, bytes]:
        """Return the next frame. Raises `EOFError` when the other end has closed the socket, `TimeoutError` after *timeout* s."""
        if timeout is not None:  # else the socket stays as it is, which another thread may be using
            self._sock.settimeout(timeout)
        try:
            header, payload = m.lengths(self._exactly(m.PREFIX))
            message = m.decode(self._exactly(header))
            return message, self._exactly(payload)
        finally:
            if timeout is not None:
                self._sock.settimeout(None)

    def readable(self, seconds: float) -> bool:
        """Return True as soon as something can be read, or False after *seconds*."""
        return bool(select.select([self._sock], [], [], seconds)[0])

    def close(self) -> None:
        """Close this end."""
        self._sock.close()

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._sock.recv(min(1 << 20, size - len(data)))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)
