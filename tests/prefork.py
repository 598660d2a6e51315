"""Runs `sottovoce` commands as forks of one process that has imported the command already; a short command is mostly imports.
Other modules are run likewise: `Process(["-m", MODULE, ARGUMENT…], …)`.

A command is a process of its own, like `python -m sottovoce.cli`, with its own environment, folder and output, and it ends as the
interpreter ends; only the imports are not repeated. Tests about the start of the interpreter use `subprocess`.

In order: `Process` and `run`, for tests; the process that forks (`python -m tests.prefork DESCRIPTOR`).
"""

import contextlib
import faulthandler
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from tests import prefork_children

ROOT = Path(__file__).resolve().parent.parent
_LARGEST = 1 << 17
"""Bytes of a request: arguments and environment."""
_LOCK = threading.Lock()
_LATE = (
    "dbos._sys_db_sqlite",
    "sottovoce.engines.ctc.aligner",
    "sottovoce.engines.diarization.gaussian.diarizer",
    "sottovoce.engines.diarization.ge2e.diarizer",
    "sottovoce.engines.models.index_source",
    "sottovoce.engines.pocketsphinx.recognizer",
    "uvicorn.lifespan.off",
    "uvicorn.loops.uvloop",
)
"""Modules that a server imports while it starts, beside those of `sottovoce` outside the engines."""
_WITH_CHILDREN = ("serve", "worker", "transcribe", "watch")
"""Commands whose engine processes are forked as well."""


# ── for tests ──


@functools.cache
def _forks() -> "tuple[socket.socket, subprocess.Popen[bytes]]":
    """The process that forks, and the socket to it. It ends with this process, and its forks with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.prefork", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**bare(), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},  # numpy starts its threads when it is imported
        )
    return ours, process


def close() -> None:
    """End the process that forks, if it was needed."""
    if _forks.cache_info().currsize:
        control, process = _forks()
        control.close()
        process.wait()
        _forks.cache_clear()


def bare() -> dict[str, str]:
    """The environment without settings of Sottovoce."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}


class Process:
    """A running command; the methods are those of `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Iterable[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        files: tuple[IO[bytes], IO[bytes], IO[bytes]],
    ) -> None:
        """Start it. *files*: standard input, output and error."""
        self.args = list(arguments)
        self.returncode: int | None = None
        self._news, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked = {"arguments": self.args, "environment": dict(env), "folder": str(cwd or Path.cwd())}
        with theirs:
            descriptors = [*(file.fileno() for file in files), theirs.fileno()]
            with _LOCK:
                socket.send_fds(_forks()[0], [json.dumps(asked).encode()], descriptors)
        self.pid = int(self._news.recv(64))

    def poll(self) -> int | None:
        """The exit status if it has ended; of a signal that ended it, the negative number."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._news, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._news.recv(64))
            self._news.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal if it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


def run(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 120.0
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end and return what it printed. *env*: by default the environment without settings."""
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as errors,
    ):
        process = Process(arguments, env=bare() if env is None else env, cwd=cwd, files=(nothing, out, errors))
        try:
            status = process.wait(timeout)
        finally:
            process.kill()
        printed = []
        for file in (out, errors):
            file.seek(0)
            printed.append(file.read().decode())
        return subprocess.CompletedProcess(process.args, status, *printed)


# ── the process that forks ──


def _import_everything() -> None:
    """Import what commands import, except the engines and their libraries, which have processes of their own."""
    import sottovoce

    for module in pkgutil.walk_packages(sottovoce.__path__, "sottovoce."):
        if not module.name.startswith(
            ("sottovoce.engines.", "sottovoce.service.storage.migrations", "sottovoce.cli.__")
        ):
            importlib.import_module(module.name)
    for name in (*_LATE, "alembic.command", "alembic.config", "obstore.store", "uvicorn", "uvloop", "httptools"):
        importlib.import_module(name)
    prefork_children.import_libraries()


class _Forks:
    """The forks that run, each with the socket on which its end is told."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, socket.socket] = {}
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.settimeout(0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())

    def serve(self) -> "list[str] | None":
        """Fork for each request. Returns in each fork its arguments, and here `None` when the tests have ended."""
        poll = select.poll()
        for end in (self._control, self._woken):
            poll.register(end, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._woken.fileno() in ready:
                self._woken.recv(4096)
                self._reap()
            if self._control.fileno() in ready:
                asked, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST, 4)
                if not asked:
                    break
                if (arguments := self._fork(json.loads(asked), descriptors)) is not None:
                    return arguments
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        return None

    def _fork(self, asked: "dict[str, object]", descriptors: list[int]) -> "list[str] | None":
        news = socket.socket(fileno=descriptors.pop())
        pid = os.fork()
        if pid:
            self._running[pid] = news
            news.send(str(pid).encode())
            for descriptor in descriptors:
                os.close(descriptor)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for end in (news, self._control, self._woken, self._wake, *self._running.values()):
            end.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        return _become(asked)

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._running.pop(pid) as news, contextlib.suppress(OSError):
                news.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(asked: "dict[str, object]") -> list[str]:
    """Take the environment and the folder of the request, as a new interpreter would. Returns the arguments."""
    environment, folder, arguments = asked["environment"], str(asked["folder"]), asked["arguments"]
    if not isinstance(environment, dict) or not isinstance(arguments, list):
        raise TypeError(asked)
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    own = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.path[:] = [folder, *own, *(part for part in sys.path[1:] if part not in inherited and part not in own)]
    for part in own:
        if (custom := Path(part) / "sitecustomize.py").exists():
            runpy.run_path(str(custom))
    if arguments[0] in _WITH_CHILDREN:
        prefork_children.fork_children()
    return arguments


def main(descriptor: int) -> None:
    """Fork until the tests end; in a fork, run the command."""
    control = socket.socket(fileno=descriptor)
    faulthandler.enable()  # SIGABRT tells where the threads of a command are
    _import_everything()
    gc.collect()
    gc.freeze()
    arguments = _Forks(control).serve()
    if arguments is not None:
        module, given = (arguments[1], arguments[2:]) if arguments[0] == "-m" else ("sottovoce.cli", arguments)
        sys.argv[1:] = given
        prefork_children.run_module(module)


if __name__ == "__main__":
    main(int(sys.argv[1]))
