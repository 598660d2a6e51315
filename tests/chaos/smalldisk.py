"""A disk of a few megabytes that can be filled: tmpfs in a user and mount namespace, which needs no root."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers import ROOT

SIZE = "24m"
_MOUNT = f'mount -t tmpfs -o size={SIZE} none "$1" && shift && exec "$@"'


def available() -> bool:
    """True if this machine allows such a disk."""
    if shutil.which("unshare") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(_inside(Path(folder), ["true"]), capture_output=True).returncode == 0


def _inside(folder: Path, command: list[str]) -> list[str]:
    return ["unshare", "-Urm", "sh", "-c", _MOUNT, "sh", str(folder), *command]


def run(arguments: list[str], timeout: float) -> "subprocess.CompletedProcess[str]":
    """`python -m tests.chaos` with *arguments*, its home on a small disk."""
    with tempfile.TemporaryDirectory(prefix="sottovoce-disk-") as folder:
        command = [sys.executable, "-m", "tests.chaos", "--home", folder, "--small-disk", *arguments]
        return subprocess.run(_inside(Path(folder), command), cwd=ROOT, capture_output=True, text=True, timeout=timeout)
