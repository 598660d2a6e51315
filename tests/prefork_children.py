"""Engine processes of forked servers, forked as well: importing what they need takes longer than most of their tests.

A forked server (`tests/prefork.py`) has a process beside it, the source, which was forked before the server had threads. For an
engine process the server asks its source, which forks twice and ends the process in between; so the kernel makes the new process
a child of the server, with `PR_SET_CHILD_SUBREAPER`. Its arguments, descriptors and environment are those that
`sottovoce.inference.child` gives to `subprocess.Popen`; the module's `subprocess` is replaced for that.

Tests that look at the command line or the environment of an engine process in `/proc` use `NewProcess`.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

NAME = "source"
"""The name of the source in `/proc/PID/stat`, for `Server.children`."""
_LARGEST = 1 << 17
"""Bytes of a request: arguments and environment."""
_ABOVE = 100
"""Descriptors from here on are not among those of a request."""
_PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 15, 36  # of <sys/prctl.h>
_HOST = ["-P", "-m", "sottovoce.inference.host"]


def import_libraries() -> None:
    """Import the libraries that every engine process uses, in the process that forks."""
    import av  # noqa: F401
    import numpy as np  # noqa: F401


def fork_children() -> None:
    """Have the engine processes of this process forked. It must have one thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = os.getpid()
    if os.fork() == 0:
        ours.close()
        _serve(theirs, server)
    theirs.close()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    from sottovoce.inference import child

    known = {name: getattr(subprocess, name) for name in ("DEVNULL", "PIPE")}
    child.__dict__["subprocess"] = SimpleNamespace(**known, Popen=_Popen(ours))


class _Popen:
    """In a server: starts an engine process as `subprocess.Popen` does."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._lock = threading.Lock()

    def __call__(
        self,
        command: Sequence[str],
        *,
        pass_fds: Sequence[int],
        stdin: int,
        stderr: int,
        env: Mapping[str, str],
        start_new_session: bool,
    ) -> "subprocess.Popen[bytes]":
        assert [*command[1:4], stdin, stderr, start_new_session] == [*_HOST, subprocess.DEVNULL, subprocess.PIPE, True]
        reading, writing = os.pipe()
        asked = {"arguments": command[4:], "environment": dict(env), "descriptors": [2, *pass_fds]}
        try:
            with self._lock:
                socket.send_fds(self._source, [json.dumps(asked).encode()], [writing, *pass_fds])
                pid = int(self._source.recv(64))
        finally:
            os.close(writing)
        process = subprocess.Popen.__new__(subprocess.Popen)
        process.__dict__.update(
            args=command,
            pid=pid,
            returncode=None,
            stdin=None,
            stdout=None,
            stderr=os.fdopen(reading, "rb", 0),
            _child_created=True,
            _waitpid_lock=threading.Lock(),
            _sigint_wait_secs=0.25,
        )
        return process


def _serve(control: socket.socket, server: int) -> None:
    """In the source: fork for each request, until the server has ended."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, NAME.encode())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        asked, descriptors, _, _ = socket.recv_fds(control, _LARGEST, 8)
        if not asked:
            os._exit(0)
        between = os.fork()
        if between == 0:
            if os.fork() == 0:
                _become(control, server, json.loads(asked), descriptors)
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        os.waitpid(between, 0)


def _become(control: socket.socket, server: int, asked: dict[str, Any], descriptors: list[int]) -> None:
    """In the engine process: take what was asked for, and run it to its end."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"python")
    status = 1
    try:
        os.setsid()
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, signal.SIG_DFL)
        moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _ABOVE) for descriptor in descriptors]
        while os.getppid() != server:  # until the process in between has ended
            if os.getppid() == 1:
                os._exit(0)  # the server has
            time.sleep(0.001)
        control.send(str(os.getpid()).encode())
        control.close()
        for descriptor in descriptors:
            os.close(descriptor)
        for descriptor, number in zip(moved, asked["descriptors"], strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(asked["environment"])
        del sys.path[0]  # the working directory
        sys.argv[1:] = asked["arguments"]
        from sottovoce.inference import host

        status = host.main(asked["arguments"])
    except BaseException:  # noqa: BLE001 - as the interpreter ends
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
