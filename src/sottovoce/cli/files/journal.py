"""What `watch` has done, as lines of JSON in a file of the output folder; the last line about a file counts.

A line `begun` is written before the outputs of a file, and names them as they were: after a kill between the outputs and the line
`done`, other outputs mean that the file is done.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import click

from sottovoce.cli.files.failures import Unavailable

NAME = ".sottovoce-watch.jsonl"


class Mark(StrEnum):
    """How far a file came."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A file's content as its folder tells it: *size* in bytes, *modified* in ns."""

    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "Version | None":
        """The version of *path*; `None` if there is no such file."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(size=found.st_size, modified=found.st_mtime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line. *file*: the path below the watched folder. *place*: the path of its outputs below the output folder, without suffix.

    *token*: names this work to a server, so that it makes one job. *before*: inode and time of each output that existed at the
    beginning, by its path.
    """

    file: str
    version: Version
    place: str
    token: str
    mark: Mark
    before: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    reason: str = ""


class Journal:
    """The lines in *file*, which is open for appending."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._entries: dict[str, Entry] = {}
        self._owners: dict[str, str] = {}
        text = file.read()
        self._torn = bool(text) and not text.endswith(b"\n")
        for line in text.splitlines():
            with contextlib.suppress(ValueError, LookupError, TypeError):  # a kill may have cut a line
                self._keep(_entry(json.loads(line)))

    def last(self, file: str) -> Entry | None:
        """The last line about *file*."""
        return self._entries.get(file)

    def owner(self, place: str) -> str | None:
        """The file whose outputs are at *place*."""
        return self._owners.get(place)

    def write(self, entry: Entry) -> Entry:
        """Append *entry*, which is on the disk afterwards. Raises `Unavailable`."""
        line = json.dumps(asdict(entry)).encode() + b"\n"
        try:
            os.write(self._file.fileno(), b"\n" + line if self._torn else line)
            os.fsync(self._file.fileno())
        except OSError as error:
            self._torn = True
            raise Unavailable(f"{self._file.name} cannot be written: {error.strerror or error}") from error
        self._torn = False
        self._keep(entry)
        return entry

    def end(self, entry: Entry, mark: Mark, reason: str = "") -> None:
        """Write how *entry* ended. Raises `Unavailable`."""
        self.write(replace(entry, mark=mark, before={}, reason=reason))

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.file] = entry
        self._owners[entry.place] = entry.file


def _entry(line: dict[str, object]) -> Entry:
    found = {name: line[name] for name in Entry.__dataclass_fields__}
    before = {str(path): (int(one), int(other)) for path, (one, other) in found["before"].items()}  # type: ignore[attr-defined]
    version, mark = Version(**found["version"]), Mark(str(found["mark"]))  # type: ignore[arg-type]
    return Entry(**{**found, "version": version, "mark": mark, "before": before})  # type: ignore[arg-type]


@contextmanager
def journal_in(folder: Path) -> Iterator[Journal]:
    """The journal of the output folder *folder*. Raises `ClickException` if it cannot be used, or another `watch` uses it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / NAME).open("a+b")
    except OSError as error:
        raise click.ClickException(
            f"{folder} cannot be used: {error.strerror}; name another folder with --out"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise click.ClickException(
                f"another `sottovoce watch` writes to {folder}; stop it, or name another folder with --out"
            ) from error
        file.seek(0)
        yield Journal(file)
