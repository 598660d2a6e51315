"""Shell scripts with `sottovoce` as a command, each call of which is a fork of a process that has made the imports (`prefork`)."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.prefork import Process

_COMMAND = """#!{python} -IS
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
line.connect({address!r})
asked = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
socket.send_fds(line, [asked], [0, 1, 2])
status = int(line.recv(16) or b"1")
sys.exit(status if status >= 0 else 128 - status)
"""
_LARGEST = 1 << 17
"""Bytes of a call: arguments and environment."""


class Shell:
    """Runs scripts of `sh` in which `sottovoce` is the command in the folder *bin*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(
        self, script: str, *, cwd: Path, env: Mapping[str, str], timeout: float = 240.0
    ) -> "subprocess.CompletedProcess[str]":
        """Run *script*, which ends at the first command that fails."""
        found = {**env, "PATH": f"{self._folder}:{env['PATH']}"}
        return subprocess.run(
            ["sh", "-eu"], input=script, cwd=cwd, env=found, capture_output=True, text=True, timeout=timeout
        )


@contextmanager
def shell(home: Path) -> Iterator[Shell]:
    """A shell whose `sottovoce` runs while the block does."""
    folder = home / "bin"
    folder.mkdir()
    address = str(folder / "socket")
    command = folder / "sottovoce"
    command.write_text(_COMMAND.format(python=sys.executable, address=address))
    command.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield Shell(folder)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            line, _ = listener.accept()
            threading.Thread(target=_answer, args=(line,), daemon=True).start()


def _answer(line: socket.socket) -> None:
    with line, contextlib.ExitStack() as stack:
        asked, descriptors, _, _ = socket.recv_fds(line, _LARGEST, 3)
        arguments, environment, folder = json.loads(asked)
        files = [stack.enter_context(os.fdopen(each, "r+b", buffering=0)) for each in descriptors]
        process = Process(arguments, env=environment, cwd=Path(folder), files=(files[0], files[1], files[2]))
        line.send(str(process.wait()).encode())
