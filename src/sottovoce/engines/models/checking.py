"""A model's folder held against what its files should be: by size at every start, by SHA-256 when it is asked for.

The catalogue's table comes first. Where it knows nothing, the manifest of the pull says what the files were; a folder of
the operator's own that was put there by hand has neither, and nothing can be said about it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sottovoce.engines.models import catalogue, known_files
from sottovoce.engines.models.catalogue import CATALOGUE, CTC, Model, ModelFault
from sottovoce.engines.models.hub_client import sha256_of
from sottovoce.engines.models.known_files import KnownFile
from sottovoce.engines.models.manifest import OURS, Manifest

Hear = Callable[[str, int, int], None]
"""Hears which file is read now, and how many bytes of how many were read before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """Files of *model* against the catalogue or its manifest; without either (not *recorded*) nothing can be said."""

    model: str
    recorded: bool
    checked: int
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, as far as it is known."""
        return not (self.missing or self.changed or self.extra)


def expected(name: str, names: frozenset[str], manifest: Manifest | None) -> dict[str, KnownFile]:
    """What the files of the model *name* should be; empty where nothing is known of it.

    *names*: the files that are there, which tell int8 from fp32 where there is no manifest.
    """
    model = CATALOGUE.get(name)
    pieces = manifest.files if manifest else ()
    recorded = {piece.name: KnownFile(size=piece.size, sha256=piece.sha256) for piece in pieces}
    if model is None or (manifest and manifest.commit != model.revision):
        return recorded
    quantization = manifest.quantization if manifest else catalogue.quantization_of(model.engine, names)
    known = known_files.needed(known_files.FILES.get(name, {}), quantization)
    if manifest:
        sure = {file: entry for file, entry in known.items() if entry.sha256 and file in recorded}
        return recorded | sure
    # the same CTC model has its weights under one of several names
    return {file: entry for file, entry in known.items() if model.engine != CTC or file in names}


def look_for_faults(name: str, sizes: Mapping[str, int], manifest: Manifest | None) -> None:
    """Hold the *sizes* of the files that are there against what they should be; no file is read.

    Raises `ModelFault` for a file that is missing or not whole.
    """
    for file, wanted in expected(name, frozenset(sizes), manifest).items():
        if file not in sizes:
            raise ModelFault(f"{file} is missing")
        if sizes[file] != wanted.size:
            if manifest:
                raise ModelFault(f"{file} is not whole")
            raise ModelFault(f"{file} has {sizes[file]} bytes, and that of {name} in the catalogue has {wanted.size}")


def is_remnant(name: str, sizes: Mapping[str, int]) -> bool:
    """Whether the folder *name* holds files of the catalogue's model without its weights: a copy that was broken off."""
    return not sizes.keys().isdisjoint(known_files.FILES.get(name, {}))


def judged(folder: Path, manifest: Manifest | None, hear: Hear) -> VerificationResult:
    """Every file of *folder* against its SHA-256. Raises OSError, and `ModelFault` for a folder that is no model."""
    here = {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()} - OURS
    wanted = expected(folder.name, frozenset(here), manifest)
    if not wanted:
        return VerificationResult(model=folder.name, recorded=False, checked=0)
    changed, done, total = [], 0, sum(file.size for file in wanted.values())
    for name, file in wanted.items():
        hear(name, done, total)
        done += file.size
        if name in here and not fits(folder / name, file):
            changed.append(name)
    return VerificationResult(
        model=folder.name,
        recorded=True,
        checked=len(wanted.keys() & here),
        missing=tuple(sorted(wanted.keys() - here)),
        changed=tuple(changed),
        extra=tuple(sorted(here - wanted.keys())) if manifest else (),
    )


def fits(path: Path, known: KnownFile) -> bool:
    """Whether the file at *path* is *known*, byte for byte where its SHA-256 is known. Raises OSError."""
    return (
        path.is_file()
        and path.stat().st_size == known.size
        and (known.sha256 is None or sha256_of(path) == known.sha256)
    )


def is_whole(model: Model, folder: Path) -> bool:
    """Whether *folder* holds all files of *model*, each with the catalogue's SHA-256. Raises OSError."""
    names = frozenset(file.name for file in folder.iterdir() if file.is_file())
    known = known_files.files_of(model)
    try:
        loaded = catalogue.wanted(model.engine, names)
    except ModelFault:
        return False
    return all(name in known and known[name].sha256 and fits(folder / name, known[name]) for name in loaded)
