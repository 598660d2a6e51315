"""Engine processes of forked servers, and the servers of `serve --regions`, forked as well: importing what they need takes longer
than most of their tests.

A forked server (`tests/prefork.py`) has a process beside it, the source, which was forked before the server had threads. For an
engine process the server asks its source, which forks twice and ends the process in between; so the kernel makes the new process
a child of the server, with `PR_SET_CHILD_SUBREAPER`. Its arguments, descriptors and environment are those that
`sottovoce.inference.child` gives to `subprocess.Popen`; the module's `subprocess` is replaced for that. Likewise the `asyncio` of
`sottovoce.service.operations.supervisor`, whose processes are named after their regions in `/proc/PID/comm`.

Tests that look at the command line or the environment of an engine process in `/proc` use `NewProcess`.
"""

import asyncio
import atexit
import ctypes
import fcntl
import json
import os
import runpy
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
_REGION = ["-P", "-m", "sottovoce.cli", "serve"]


def import_libraries() -> None:
    """Import the libraries that every engine process uses, in the process that forks."""
    import av  # noqa: F401
    import numpy as np  # noqa: F401


def fork_children() -> None:
    """Have the engine processes and the regions of this process forked. It must have one thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = os.getpid()
    if os.fork() == 0:
        ours.close()
        _serve(theirs, server)
    theirs.close()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    from sottovoce.inference import child
    from sottovoce.service.operations import supervisor

    source = _Source(ours)
    known = {name: getattr(subprocess, name) for name in ("DEVNULL", "PIPE")}
    child.__dict__["subprocess"] = SimpleNamespace(**known, Popen=_Popen(source))
    starter = {"create_subprocess_exec": _RegionStarter(source)}
    supervisor.__dict__["asyncio"] = SimpleNamespace(**{**vars(asyncio), **starter})


class _Source:
    """In a server: asks the source for processes."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = threading.Lock()

    def start(self, files: Sequence[int], **asked: object) -> int:
        """The id of a new child of this process, in which *files* have the numbers `descriptors` of what is *asked*."""
        with self._lock:
            socket.send_fds(self._line, [json.dumps(asked).encode()], list(files))
            return int(self._line.recv(64))


class _RegionStarter:
    """In a supervisor: starts the server of a region as `asyncio.create_subprocess_exec` does."""

    def __init__(self, source: _Source) -> None:
        self._source = source

    async def __call__(
        self, *command: str, stdin: int, stdout: int, env: Mapping[str, str], start_new_session: bool
    ) -> "_Region":
        given = [*command[1:5], stdin, stdout, start_new_session]
        assert given == [*_REGION, subprocess.DEVNULL, subprocess.PIPE, True]
        reading, writing = os.pipe()
        try:
            pid = self._source.start(
                [writing],
                arguments=command[4:],
                environment=dict(env),
                descriptors=[1],
                region=command[command.index("--region") + 1],
            )
        finally:
            os.close(writing)
        output = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(reading, "rb", 0)
        )
        return _Region(pid, output)


class _Region:
    """In a supervisor: the server of a region; the methods are those of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, stdout: asyncio.StreamReader) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """Send a signal if it runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    async def wait(self) -> int:
        """The exit status; of a signal that ended it, the negative number."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        process = os.pidfd_open(self.pid)
        loop.add_reader(process, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(process)
            os.close(process)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])  # noqa: ASYNC222 - it has ended
        return self.returncode


class _Popen:
    """In a server: starts an engine process as `subprocess.Popen` does."""

    def __init__(self, source: _Source) -> None:
        self._source = source

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
        try:
            pid = self._source.start(
                [writing, *pass_fds], arguments=command[4:], environment=dict(env), descriptors=[2, *pass_fds]
            )
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
    """In the engine process, or in the server of a region: take what was asked for, and run it to its end."""
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
        if region := asked.get("region"):
            ctypes.CDLL(None).prctl(_PR_SET_NAME, region.encode())
            fork_children()
            run_module("sottovoce.cli")
        from sottovoce.inference import host

        status = host.main(asked["arguments"])
    except BaseException:  # noqa: BLE001 - as the interpreter ends
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run_module(module: str) -> None:
    """Run *module*, and end the process with its status after all that the interpreter does at an end, except to free each object
    of all modules, which takes longer than most commands.
    """
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        status = ended.code or 0
    else:
        status = 0
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are not daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
