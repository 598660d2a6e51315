"""The media that the arguments of `transcribe` name: files, folders, patterns, `-` and URLs."""

import glob
import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

_KNOWN = """
.3gp .aac .ac3 .aif .aiff .amr .au .avi .caf .flac .flv .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpeg .mpg .oga .ogg .opus .ts
.wav .webm .wma .wmv
"""
SUFFIXES = frozenset(_KNOWN.split())
"""Suffixes of the files that a folder stands for; a file that is named by itself may have any name."""
STDIN = "-"


class SourceKind(StrEnum):
    """What an argument is. A `missing` one is neither a file nor a folder, and no file matches it."""

    FILE = "file"
    STDIN = "stdin"
    URL = "url"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One medium. *text*: the path or URL as it is shown. *place*: the path of its outputs below `--output-dir`, without suffix.

    *name*: the file's name. *token*: names this work to a server, so that it makes one job; empty: any new one.
    """

    kind: SourceKind
    text: str
    name: str
    place: Path
    token: str = ""


def expanded(arguments: Sequence[str]) -> tuple[Source, ...]:
    """Every medium that *arguments* name, in their order, each once. Files that would share an output keep their suffix in it."""
    found = {source.text: source for argument in arguments for source in _of(argument)}
    places: dict[Path, int] = {}
    for source in found.values():
        places[source.place] = places.get(source.place, 0) + 1
    return tuple(_apart(source) if places[source.place] > 1 else source for source in found.values())


def _apart(source: Source) -> Source:
    place = source.place.with_name(source.name)
    return Source(kind=source.kind, text=source.text, name=source.name, place=place)


def _of(argument: str) -> Iterator[Source]:
    path = Path(argument)
    if argument == STDIN:
        yield Source(kind=SourceKind.STDIN, text=STDIN, name="stdin", place=Path("stdin"))
    elif argument.startswith(("http://", "https://")):
        name = unquote(urlsplit(argument).path.rpartition("/")[2]).replace("/", "_").lstrip(".") or "media"
        yield Source(kind=SourceKind.URL, text=argument, name=name, place=Path(Path(name).stem))
    elif path.is_dir():
        yield from _folder(path)
    elif path.exists():
        yield _file(path, Path(path.stem))
    elif glob.has_magic(argument) and (matches := sorted(glob.glob(argument, recursive=True))):  # noqa: PTH207 - absolute too
        for each in map(Path, matches):
            yield from _folder(each) if each.is_dir() else (_file(each, Path(each.stem)),)
    else:
        yield Source(kind=SourceKind.MISSING, text=argument, name=path.name, place=Path(path.stem))


def _file(path: Path, place: Path) -> Source:
    return Source(kind=SourceKind.FILE, text=str(path), name=path.name, place=place)


def media_of(folder: Path, apart: AbstractSet[Path] = frozenset()) -> Iterator[Path]:
    """Every file with a suffix of media in *folder* and below, sorted, without hidden ones and the folders *apart*."""
    found = []
    for place, folders, names in os.walk(folder):  # tolerates what disappears meanwhile
        here = Path(place)
        folders[:] = [name for name in folders if not name.startswith(".") and (here / name).resolve() not in apart]
        found += [here / name for name in names if not name.startswith(".")]
    yield from sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file())


def _folder(folder: Path) -> Iterator[Source]:
    paths = list(media_of(folder))
    for path in paths:
        yield _file(path, path.relative_to(folder).with_suffix(""))
    if not paths:
        yield Source(kind=SourceKind.MISSING, text=str(folder), name=folder.name, place=Path(folder.name))
