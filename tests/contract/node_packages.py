"""The vendor's packages of npm, of the versions and hashes in the lock file in `node/`."""

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = Path(__file__).parent / "node"


def install(home: Path) -> Path:
    """Copy the scripts to *home*, install their packages there, and return it. Fails the test where npm is missing."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail(
            "npm is missing: install Node.js 20 or newer with npm, for example with `apt-get install nodejs npm`"
        )
    for file in NODE.iterdir():
        shutil.copy(file, home)
    made = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if made.returncode:
        pytest.fail(f"`npm ci` in tests/contract/node failed: {made.stderr[-300:]}")
    return home
