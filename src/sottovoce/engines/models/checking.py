"""Checks of a model's folder: the sizes of its files at every start, their SHA-256 on request.

The expected values come from the catalogue's table (`known_files`), else from the manifest that the pull wrote. The
operator's own folder that was copied in by hand has neither, so it cannot be checked.
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
"""Progress callback: the file being read, bytes read before it, bytes in total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """The files of *model* compared with the catalogue or its manifest. *recorded* is False if neither lists them.

    *checked*: number of files compared. *missing*, *changed*, *extra*: names of files.
    """

    model: str
    recorded: bool
    checked: int
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """True if the check found no fault; also True if nothing is *recorded*."""
        return not (self.missing or self.changed or self.extra)


def expected(name: str, names: frozenset[str], manifest: Manifest | None) -> dict[str, KnownFile]:
    """Expected size and SHA-256 by file name for the model *name*; empty if neither table nor manifest has them.

    *names*: the files in the folder; they decide between int8 and fp32 if there is no manifest.
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
    # The weights of one CTC model may have any of several file names.
    return {file: entry for file, entry in known.items() if model.engine != CTC or file in names}


def look_for_faults(name: str, sizes: Mapping[str, int], manifest: Manifest | None) -> None:
    """Compare the *sizes* (bytes by file name) of the files in a folder with the expected ones; no file is read.

    Raises `ModelFault` for a file that is missing or has another size.
    """
    for file, wanted in expected(name, frozenset(sizes), manifest).items():
        if file not in sizes:
            raise ModelFault(f"{file} is missing")
        if sizes[file] != wanted.size:
            if manifest:
                raise ModelFault(f"{file} is not whole")
            raise ModelFault(f"{file} has {sizes[file]} bytes, and that of {name} in the catalogue has {wanted.size}")


def is_remnant(name: str, sizes: Mapping[str, int]) -> bool:
    """True if the folder *name* holds some files of the catalogue's model but not its weights: an interrupted copy."""
    return not sizes.keys().isdisjoint(known_files.FILES.get(name, {}))


def judged(folder: Path, manifest: Manifest | None, report: Hear) -> VerificationResult:
    """Compare every file of *folder* with its SHA-256.

    Raises OSError, and `ModelFault` for a folder that does not hold a model.
    """
    here = {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()} - OURS
    wanted = expected(folder.name, frozenset(here), manifest)
    if not wanted:
        return VerificationResult(model=folder.name, recorded=False, checked=0)
    changed, done, total = [], 0, sum(file.size for file in wanted.values())
    for name, file in wanted.items():
        report(name, done, total)
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
    """True if the file at *path* has the size of *known* and, if that is recorded, its SHA-256. Raises OSError."""
    return (
        path.is_file()
        and path.stat().st_size == known.size
        and (known.sha256 is None or sha256_of(path) == known.sha256)
    )


def is_whole(model: Model, folder: Path) -> bool:
    """True if *folder* holds all files of *model*, each with the catalogue's SHA-256. Raises OSError."""
    names = frozenset(file.name for file in folder.iterdir() if file.is_file())
    known = known_files.files_of(model)
    try:
        loaded = catalogue.wanted(model.engine, names)
    except ModelFault:
        return False
    return all(name in known and known[name].sha256 and fits(folder / name, known[name]) for name in loaded)
