"""The shelf: the folder in which models lie, and everything that is done to it.

A model is the folder `<shelf>/<name>` with flat files. What is being fetched lies in `<shelf>/.pulling/<name>/new` and is
moved in one step when every file is there and fits its checksum, so no half of a model is ever seen by an engine. From
which source a model comes is decided in `sources.py`.
"""

import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from sottovoce.engines.models import catalogue, checking, known_files
from sottovoce.engines.models.catalogue import CATALOGUE, SILENT, WHISPER, Model, ModelFault, checked_name, local
from sottovoce.engines.models.checking import VerificationResult
from sottovoce.engines.models.hub_client import Hub, Listing, Remote, Source, fits, sha256_of
from sottovoce.engines.models.manifest import (
    NOTE,
    OURS,
    FileEntry,
    Manifest,
    ModelOverrides,
    read_manifest,
    read_overrides,
    write_manifest,
)
from sottovoce.request import OperatingPoint

__all__ = [
    "CATALOGUE",
    "Content",
    "Model",
    "ModelFault",
    "ModelStore",
    "Progress",
    "Pulled",
    "Source",
    "VerificationResult",
]

_log = logging.getLogger(__name__)

STAGING = ".pulling"
SPARE = 1 << 28
"""Bytes of the disk that a pull leaves free."""

_MULTILINGUAL = 51_865  # tokens of the smallest multilingual vocabulary
_MAX_VOCABULARY = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a pull or a check is: *done* of *total* bytes of all files; *waiting* for another pull of the same model."""

    model: str
    step: Literal["waiting", "asking", "fetching", "unpacking", "checking"]
    file: str = ""
    done: int = 0
    total: int = 0


Listen = Callable[[Progress], None]


def _ignore(_: Progress) -> None:
    """Progress that no person watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """*model* is here, at *commit*; *fetched* of its *size* bytes were missing before."""

    model: Model
    commit: str
    size: int
    fetched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The bytes of one file of a model, wherever they come from: *size* of them, with that *sha256* where it is known."""

    name: str
    size: int
    sha256: str | None
    chunks: Callable[[], Iterable[bytes]]


Bring = Callable[[Path], Iterable[Content]]
"""Finds the files of a model; may fetch into the folder that it is given, which is kept until the model is complete."""


class ModelStore:
    """The models in *folder*, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where the files of the model *name* lie, or would. Raises `ModelFault` for a name that leads elsewhere."""
        return self.folder / checked_name(name)

    def present(self) -> tuple[Model, ...]:
        """Complete models by name: the catalogue's and the operator's own."""
        return tuple(model for _, model in self._looked() if isinstance(model, Model))

    def faults(self) -> tuple[tuple[str, str], ...]:
        """Folders that hold a model which no engine can load: name and reason."""
        return tuple((name, str(fault)) for name, fault in self._looked() if isinstance(fault, ModelFault))

    def unfinished(self) -> dict[str, int]:
        """Models whose pull was interrupted, and how many bytes of them are here."""
        found = {
            place.name: _weight(place / "new") + _weight(place / "kept") for place in self.folder.glob(f"{STAGING}/*")
        }
        return {name: size for name, size in sorted(found.items()) if size}

    def verify(self, name: str, listen: Listen = _ignore) -> VerificationResult:
        """Every file of the model *name* against its SHA-256: the catalogue's, else the one that was recorded with the pull.

        Raises `ModelFault` for what cannot be read.
        """
        folder = self.path(name)
        if not folder.is_dir():
            raise ModelFault(f"{name} is not here; `sottovoce models list` shows what is")
        try:
            return checking.judged(folder, read_manifest(folder), partial(_hear_check, listen, name))
        except ModelFault as fault:
            raise ModelFault(f"{name}: {fault}") from fault
        except OSError as error:
            raise ModelFault(f"{name} cannot be read: {error.strerror}") from error

    def remove(self, name: str) -> int:
        """Take the model *name*, or what an interrupted pull left of it, off the disk; the bytes that it took.

        Raises `ModelFault` when there is nothing of it, or it is being pulled.
        """
        folder = self.path(name)
        if not _exists(folder) and name not in self.unfinished():
            raise ModelFault(f"{name} is not here; `sottovoce models list` shows what is")
        try:
            with self._exclusive(name, None) as place:
                freed = sum(map(_weight, (folder, place / "new", place / "kept")))
                _discard(place / "old")
                if _exists(folder):
                    folder.rename(place / "old")  # at once, so that no engine sees half of it
                for rest in ("old", "new", "kept"):
                    _discard(place / rest)
        except OSError as error:
            raise ModelFault(f"{name} cannot be removed: {error.strerror}") from error
        _log.info("model removed", extra={"model": name, "bytes": freed})
        return freed

    def pull(
        self, wanted: str | Model, source: Source, listen: Listen = _ignore, *, quantization: str | None = None
    ) -> Pulled:
        """Fetch a model of the catalogue, or the one described, from the hub *source*, and have every file of it checked.

        What an earlier pull left is gone on with; what is here in another version is replaced at the end, in one step.
        Raises `ModelFault`: offline, unreachable, refused, not as the checksum says, no room.
        """
        model = catalogue.find(wanted) if isinstance(wanted, str) else wanted
        if source.offline:
            return self.offline(model, quantization)
        with self._told(model.name), self._exclusive(model.name, listen) as place, Hub(source) as hub:
            pulled = self._fetch(model, hub, place, listen, quantization)
        _log.info("model pulled", extra={"model": model.name, "commit": pulled.commit, "bytes": pulled.fetched})
        return pulled

    def put(self, model: Model, bring: Bring, listen: Listen = _ignore) -> Pulled:
        """Make the files that *bring* finds the model *model*, in one step, when every one of them fits.

        Raises `ModelFault`: a file that is not what it should be, no room.
        """
        with self._told(model.name), self._exclusive(model.name, listen) as place:
            if known_files.is_pinned(model) and (here := self.here(model)):
                return here  # another pull brought it while this one waited
            kept = place / "kept"
            kept.mkdir(exist_ok=True)
            contents = sorted(bring(kept), key=lambda content: content.name)
            total = sum(content.size for content in contents)
            self.make_sure_of_room(total)
            new = place / "new"
            _discard(new)
            new.mkdir()
            try:
                pieces = tuple(_written(contents, new, partial(_hear_writing, listen, model.name, total)))
                self._publish(model, model.revision, pieces, place)
            except (ModelFault, OSError):
                _discard(new)
                raise
            _discard(kept)
            found = self._look(model.name) or model
        _log.info("model put in place", extra={"model": model.name, "commit": model.revision, "bytes": total})
        return Pulled(model=found, commit=model.revision, size=total, fetched=total)

    def here(self, model: Model, quantization: str | None = None, listen: Listen = _ignore) -> Pulled | None:
        """*model* if it is here complete, at its commit; None if not. Neither a network nor a checksum is needed for that.

        A folder that was put there by hand is read once: if all its files are the catalogue's, it gets its manifest.
        """
        with suppress(ModelFault, OSError):
            folder = self.path(model.name)
            if not folder.is_dir() or self._look(model.name) is None:
                return None
            manifest = read_manifest(folder) or self._adopted(model, folder, listen)
            if manifest and manifest.commit == model.revision and quantization in (None, manifest.quantization):
                size = sum(piece.size for piece in manifest.files)
                return Pulled(model=self._look(model.name) or model, commit=manifest.commit, size=size, fetched=0)
        return None

    def offline(self, model: Model, quantization: str | None = None) -> Pulled:
        """*model* as it is here already. Raises `ModelFault` that says how to get it without a network."""
        here = next((each for each in self.present() if each.name == model.name), None)
        if here is not None:
            manifest = read_manifest(self.path(here.name))
            if quantization in (None, manifest.quantization if manifest else None):
                return Pulled(model=here, commit=here.revision, size=here.size, fetched=0)
        raise ModelFault(
            f"{model.name}: offline, so nothing is fetched; pull it on a machine with a network and copy its folder "
            f"{model.name} into {self.folder}, as docs/models.md describes"
        )

    # ── what is here ──

    def _looked(self) -> Iterator[tuple[str, Model | ModelFault]]:
        try:
            names = sorted(entry.name for entry in self.folder.iterdir() if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            try:
                found: Model | ModelFault | None = self._look(name)
            except ModelFault as fault:
                found = fault
            except OSError as error:
                found = ModelFault(f"it cannot be read: {error.strerror}")
            if found is not None:
                yield name, found

    def _look(self, name: str) -> Model | None:
        """The complete model *name*; None for a folder of something else. Raises `ModelFault`, OSError."""
        if name.startswith("."):
            return None
        folder = self.folder / name
        sizes = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
        manifest, note = read_manifest(folder), read_overrides(folder)
        engine = note.engine or (manifest.engine if manifest else catalogue.engine_of(sizes))
        if engine is None:
            if checking.is_remnant(name, sizes):
                raise ModelFault("its weights are missing")
            return None
        checked_name(name)
        known = _known(name, engine, manifest)
        if manifest:
            checking.look_for_faults(name, sizes, manifest)
        catalogue.wanted(engine, sizes, manifest.quantization if manifest else None)
        if not manifest:
            checking.look_for_faults(name, sizes, manifest)
        size = sum(size for file, size in sizes.items() if file not in OURS)
        model = known or _own(folder, engine, manifest, note, size)
        return _noted(model, note)

    def _adopted(self, model: Model, folder: Path, listen: Listen) -> Manifest | None:
        """The manifest of a *folder* that was put there by hand, if each file is the catalogue's. Raises OSError."""
        listen(Progress(model=model.name, step="checking"))
        if not checking.is_whole(model, folder):
            return None
        known = known_files.files_of(model)
        names = catalogue.wanted(model.engine, [file.name for file in folder.iterdir() if file.is_file()])
        pieces = (FileEntry(name=name, size=known[name].size, sha256=str(known[name].sha256)) for name in sorted(names))
        manifest = _manifest(model, model.revision, tuple(pieces))
        with suppress(OSError):  # of a folder that only others may write: it will be read again the next time
            write_manifest(folder, manifest)
        return manifest

    # ── what comes ──

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Whatever goes wrong inside is a `ModelFault` of one line that names the model."""
        try:
            yield
        except ModelFault as fault:
            raise ModelFault(f"{name}: {fault}") from fault
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "; free some space and pull again, it goes on from there" if full else ""
            raise ModelFault(f"{name}: {self.folder} cannot be written: {error.strerror or error}{remedy}") from error

    @contextmanager
    def _exclusive(self, name: str, listen: Listen | None) -> Iterator[Path]:
        """The workplace for *name*, for one at a time; who cannot wait (no *listen*) hears of it. Raises `ModelFault`."""
        place = self.folder / STAGING / name
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if listen is None:
                    raise ModelFault(f"{name} is being pulled or removed at the moment") from error
                listen(Progress(model=name, step="waiting"))
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield place
        finally:
            os.close(descriptor)  # the file stays: who else waits has it open

    def _fetch(self, model: Model, hub: Hub, place: Path, listen: Listen, quantization: str | None) -> Pulled:
        listen(Progress(model=model.name, step="asking"))
        choose = partial(catalogue.wanted, model.engine, quantization=quantization)
        listing = _held_to_the_catalogue(model, hub.listing(model.repository, model.revision, choose))
        if self._is_here(model.name, listing):
            return self._pulled(model, listing, fetched=0)
        new = _cleared(place, listing)
        checksums = self._reuse_unchanged(model.name, listing, new)
        missing = listing.size - _weight(new)
        self.make_sure_of_room(missing)
        done = 0
        for remote in listing.files:
            heard = partial(_hear, listen, model=model.name, file=remote.name, before=done, total=listing.size)
            if remote.name not in checksums:
                to = new / local(remote.name)
                checksums[remote.name] = hub.fetch(model.repository, listing.commit, remote, to, heard)
            done += remote.size
            heard(remote.size)
        pieces = (
            FileEntry(name=local(remote.name), size=remote.size, sha256=checksums[remote.name])
            for remote in listing.files
        )
        self._publish(model, listing.commit, tuple(pieces), place)
        return self._pulled(model, listing, fetched=missing)

    def _is_here(self, name: str, listing: Listing) -> bool:
        """Whether the complete model *name* is exactly *listing*, as recorded when it came."""
        try:
            manifest = read_manifest(self.path(name)) if self._look(name) else None
        except (ModelFault, OSError):
            return False
        return (
            manifest is not None
            and manifest.commit == listing.commit
            and {piece.name for piece in manifest.files} == {local(remote.name) for remote in listing.files}
        )

    def _reuse_unchanged(self, name: str, listing: Listing, new: Path) -> dict[str, str]:
        """Put files of the version that is here into *new* where they are the same; the SHA-256 of each."""
        taken = {}
        for remote in listing.files:
            old, to = self.path(name) / local(remote.name), new / local(remote.name)
            if old.is_file() and old.stat().st_size == remote.size and fits(old, remote):
                _discard(to)
                try:
                    os.link(old.resolve(), to)
                except OSError:  # a file system without links, or a file of another user
                    shutil.copyfile(old, to)
                taken[remote.name] = sha256_of(old)
        return taken

    def make_sure_of_room(self, missing: int) -> None:
        """Nothing if *missing* bytes fit on the disk. Raises `ModelFault`."""
        free = shutil.disk_usage(self.folder).free
        if missing > free - SPARE:
            raise ModelFault(
                f"{missing / 1e9:.2f} GB more are needed and {free / 1e9:.2f} GB are free in {self.folder}, of which "
                f"{SPARE / 1e9:.2f} GB are left alone"
            )

    def _publish(self, model: Model, commit: str, pieces: tuple[FileEntry, ...], place: Path) -> None:
        """Make what was fetched the model, in one step. Raises OSError."""
        new, folder = place / "new", self.path(model.name)
        write_manifest(new, _manifest(model, commit, pieces))
        if (folder / NOTE).is_file() and not (new / NOTE).exists():
            shutil.copyfile(folder / NOTE, new / NOTE)
        for path in (*new.iterdir(), new):
            _sync(path)
        _discard(place / "old")
        if _exists(folder):
            folder.rename(place / "old")
        new.rename(folder)
        _sync(self.folder)
        _discard(place / "old")

    def _pulled(self, model: Model, listing: Listing, fetched: int) -> Pulled:
        here = self._look(model.name) or model
        return Pulled(model=here, commit=listing.commit, size=listing.size, fetched=fetched)


def _cleared(place: Path, listing: Listing) -> Path:
    """The folder of what is being fetched, without what cannot become *listing*. Raises OSError.

    A part goes when it may be of another commit's file: joined with the rest of this one's it would fit no checksum.
    """
    _discard(place / "old")
    new, commit = place / "new", place / "commit"
    new.mkdir(exist_ok=True)
    same = commit.is_file() and commit.read_text(encoding="ascii", errors="replace") == listing.commit
    remotes = {local(remote.name): remote for remote in listing.files}
    for path in list(new.iterdir()):
        remote = remotes.get(path.name)
        if remote is None or not path.is_file() or not (same or fits(path, remote)):
            _discard(path)
    commit.write_text(listing.commit, encoding="ascii")
    return new


def _held_to_the_catalogue(model: Model, listing: Listing) -> Listing:
    """*listing* with the catalogue's checksums in place of those that the hub gives. Raises `ModelFault` for other sizes."""
    known = known_files.files_of(model)
    files = []
    for remote in listing.files:
        entry = known.get(local(remote.name))
        if entry and entry.size != remote.size:
            raise ModelFault(
                f"{remote.name} has {remote.size} bytes there and {entry.size} in the catalogue: this source is not to be trusted"
            )
        sure = entry.sha256 if entry else None
        files.append(Remote(name=remote.name, size=remote.size, sha256=sure) if sure else remote)
    return replace(listing, files=tuple(files))


def _manifest(model: Model, commit: str, pieces: tuple[FileEntry, ...]) -> Manifest:
    return Manifest(
        name=model.name,
        engine=model.engine,
        repository=model.repository,
        revision=model.revision,
        commit=commit,
        quantization=catalogue.quantization_of(model.engine, (piece.name for piece in pieces)),
        languages=model.languages,
        files=pieces,
    )


def _written(contents: Iterable[Content], new: Path, hear: Callable[[str, int], None]) -> Iterator[FileEntry]:
    """Write *contents* into the folder *new*. Raises OSError, and `ModelFault` for one that is not what it should be."""
    done = 0
    for content in contents:
        size, digest = 0, hashlib.sha256()
        with (new / content.name).open("xb") as file:
            for chunk in content.chunks():
                size += len(chunk)
                if size > content.size:
                    raise ModelFault(f"{content.name} is longer than the {content.size} bytes that it should have")
                digest.update(chunk)
                file.write(chunk)
                hear(content.name, done + size)
        if size < content.size:
            raise ModelFault(f"{content.name} ends after {size} of {content.size} bytes")
        if content.sha256 not in (None, digest.hexdigest()):
            raise ModelFault(f"{content.name} does not fit the checksum of the catalogue")
        done += size
        yield FileEntry(name=content.name, size=size, sha256=digest.hexdigest())


def _hear_writing(listen: Listen, model: str, total: int, file: str, done: int) -> None:
    listen(Progress(model=model, step="unpacking", file=file, done=done, total=total))


def _hear_check(listen: Listen, model: str, file: str, done: int, total: int) -> None:
    listen(Progress(model=model, step="checking", file=file, done=done, total=total))


def _hear(listen: Listen, here: int, *, model: str, file: str, before: int, total: int) -> None:
    listen(Progress(model=model, step="fetching", file=file, done=before + here, total=total))


# ── what a folder says ──


def _known(name: str, engine: str, manifest: Manifest | None) -> Model | None:
    """The catalogue's model, at the commit that is here."""
    model = CATALOGUE.get(name)
    if model is None:
        return None
    if model.engine != engine:
        raise ModelFault(f"{name} is a model for {model.engine}, and these files are for {engine}: rename the folder")
    return replace(model, revision=manifest.commit) if manifest else model


def _own(folder: Path, engine: str, manifest: Manifest | None, note: ModelOverrides, size: int) -> Model:
    languages = note.languages or (manifest.languages if manifest else None)
    if languages is None and engine in SILENT:
        raise ModelFault(f'it does not say which languages it knows: put {{"languages": ["en"]}} into {NOTE} beside it')
    if languages is None and engine == WHISPER and not _is_multilingual(folder):
        languages = frozenset({"en"})
    return Model(
        name=folder.name,
        engine=engine,
        repository=manifest.repository if manifest else "",
        revision=manifest.commit if manifest else "",
        languages=languages,
        grade=catalogue.OWN_GRADE,
        suits=OperatingPoint.STANDARD,
        size=size,
        licence="",
    )


def _noted(model: Model, note: ModelOverrides) -> Model:
    """*model* as the operator sees it."""
    said = {"languages": note.languages, "grade": note.grade, "suits": note.suits, "licence": note.licence}
    return replace(model, **{name: value for name, value in said.items() if value is not None})  # type: ignore[arg-type]


def _is_multilingual(folder: Path) -> bool:
    """Whether the Whisper model in *folder* knows more than English.

    CTranslate2 takes a model for multilingual by the size of its vocabulary or, as of 4.8, by the empty token in it.
    """
    listed, lines = folder / "vocabulary.json", folder / "vocabulary.txt"
    file = listed if listed.is_file() else lines
    if file.stat().st_size > _MAX_VOCABULARY:
        raise ModelFault(f"{file.name} is no vocabulary: it is too large")
    if file == lines:
        words: object = lines.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    else:
        try:
            words = json.loads(listed.read_bytes())
        except (ValueError, RecursionError):
            words = None
    if not isinstance(words, list):
        raise ModelFault(f"{file.name} is no list of words")
    return "" in words or len(words) >= _MULTILINGUAL


# ── files ──


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _weight(folder: Path) -> int:
    """Bytes of the files below *folder*; a link to another place takes none."""
    if folder.is_symlink() or not folder.is_dir():
        return 0
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def _discard(path: Path) -> None:
    """Take *path* away, whatever it is; of a link only the link. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
