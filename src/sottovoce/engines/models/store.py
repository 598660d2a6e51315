"""The model store: the folder that holds the models, and the operations on it.

A model is the folder `<store>/<name>` with flat files. Files are fetched into `<store>/.pulling/<name>/new`, which is
renamed in one step when every file is complete and matches its checksum, so an engine never sees an incomplete model.
`sources.py` decides from which source a model is fetched.

Parts, in order: the types that describe a pull; `ModelStore` (list, verify, remove, pull, put; then reading a folder, and
staging and publishing); helpers for staging; metadata of a folder; file operations.
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
"""Subfolder of the store for pulls in progress."""
SPARE = 1 << 28
"""Bytes (256 MiB) of the disk that a pull leaves free."""

_MULTILINGUAL = 51_865  # tokens in the vocabulary of the smallest multilingual model
_MAX_VOCABULARY = 16 << 20  # bytes (16 MiB) of a vocabulary file


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a pull or a check: *done* of *total* bytes of all files. `waiting`: another pull holds the lock."""

    model: str
    step: Literal["waiting", "asking", "fetching", "unpacking", "checking"]
    file: str = ""
    done: int = 0
    total: int = 0


Listen = Callable[[Progress], None]


def _ignore(_: Progress) -> None:
    """The default progress callback: does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """*model* is complete in the store, at *commit*; the pull fetched *fetched* of its *size* bytes."""

    model: Model
    commit: str
    size: int
    fetched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of one file of a model: *size* in bytes, expected *sha256* in hex (None: unknown), and its *chunks*."""

    name: str
    size: int
    sha256: str | None
    chunks: Callable[[], Iterable[bytes]]


Bring = Callable[[Path], Iterable[Content]]
"""Provides the files of a model. It may download into the folder given to it, which is kept until the model is complete."""


class ModelStore:
    """The models in *folder*, which may not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """The folder of the model *name*, which may not exist. Raises `ModelFault` for a name that is not a safe folder name."""
        return self.folder / checked_name(name)

    def present(self) -> tuple[Model, ...]:
        """Complete models, sorted by name: the catalogue's and the operator's own."""
        return tuple(model for _, model in self._scan() if isinstance(model, Model))

    def faults(self) -> tuple[tuple[str, str], ...]:
        """Name and reason for each folder that holds a model which no engine can load."""
        return tuple((name, str(fault)) for name, fault in self._scan() if isinstance(fault, ModelFault))

    def unfinished(self) -> dict[str, int]:
        """Models whose pull was interrupted, and the number of bytes fetched so far."""
        found = {
            staging.name: _bytes_below(staging / "new") + _bytes_below(staging / "kept")
            for staging in self.folder.glob(f"{STAGING}/*")
        }
        return {name: size for name, size in sorted(found.items()) if size}

    def verify(self, name: str, listen: Listen = _ignore) -> VerificationResult:
        """Compare every file of the model *name* with its SHA-256: the catalogue's, else the one that the pull recorded.

        Raises `ModelFault` if the model is absent or cannot be read.
        """
        folder = self.path(name)
        if not folder.is_dir():
            raise ModelFault(f"{name} is not in the model store; `sottovoce models list` lists the stored models")
        try:
            return checking.judged(folder, read_manifest(folder), partial(_report_check, listen, name))
        except ModelFault as fault:
            raise ModelFault(f"{name}: {fault}") from fault
        except OSError as error:
            raise ModelFault(f"{name} cannot be read: {error.strerror}") from error

    def remove(self, name: str) -> int:
        """Delete the model *name*, or the files of its interrupted pull. Returns the number of bytes freed.

        Raises `ModelFault` if there is no such model, or if it is being pulled.
        """
        folder = self.path(name)
        if not _exists(folder) and name not in self.unfinished():
            raise ModelFault(f"{name} is not in the model store; `sottovoce models list` lists the stored models")
        try:
            with self._exclusive(name, None) as staging:
                freed = sum(map(_bytes_below, (folder, staging / "new", staging / "kept")))
                _discard(staging / "old")
                if _exists(folder):
                    folder.rename(staging / "old")  # in one step, so that no engine sees a partly deleted model
                for rest in ("old", "new", "kept"):
                    _discard(staging / rest)
        except OSError as error:
            raise ModelFault(f"{name} cannot be removed: {error.strerror}") from error
        _log.info("model removed", extra={"model": name, "bytes": freed})
        return freed

    def pull(
        self, wanted: str | Model, source: Source, listen: Listen = _ignore, *, quantization: str | None = None
    ) -> Pulled:
        """Fetch a model (a name of the catalogue, or a `Model`) from the hub *source*, and check every file of it.

        An interrupted pull is resumed. Another version of the model is replaced in one step at the end.
        Raises `ModelFault`: offline, hub unreachable, access refused, wrong checksum, or too little disk space.
        """
        model = catalogue.find(wanted) if isinstance(wanted, str) else wanted
        if source.offline:
            return self.offline(model, quantization)
        with self._named_faults(model.name), self._exclusive(model.name, listen) as staging, Hub(source) as hub:
            pulled = self._fetch(model, hub, staging, listen, quantization)
        _log.info("model pulled", extra={"model": model.name, "commit": pulled.commit, "bytes": pulled.fetched})
        return pulled

    def put(self, model: Model, bring: Bring, listen: Listen = _ignore) -> Pulled:
        """Store the files that *bring* provides as *model*; publish them in one step after all of them are checked.

        Raises `ModelFault`: a file has another size or checksum, or there is too little disk space.
        """
        with self._named_faults(model.name), self._exclusive(model.name, listen) as staging:
            if known_files.is_pinned(model) and (here := self.here(model)):
                return here  # another pull stored it while this one waited for the lock
            kept = staging / "kept"
            kept.mkdir(exist_ok=True)
            contents = sorted(bring(kept), key=lambda content: content.name)
            total = sum(content.size for content in contents)
            self.make_sure_of_room(total)
            new = staging / "new"
            _discard(new)
            new.mkdir()
            try:
                pieces = tuple(_write(contents, new, partial(_report_writing, listen, model.name, total)))
                self._publish(model, model.revision, pieces, staging)
            except (ModelFault, OSError):
                _discard(new)
                raise
            _discard(kept)
            found = self._read_model(model.name) or model
        _log.info("model put in place", extra={"model": model.name, "commit": model.revision, "bytes": total})
        return Pulled(model=found, commit=model.revision, size=total, fetched=total)

    def here(self, model: Model, quantization: str | None = None, listen: Listen = _ignore) -> Pulled | None:
        """*model*, if it is complete in the store at its commit; None if not. Uses no network and computes no checksum.

        Exception: a folder without a manifest, copied in by hand, is read once to compute checksums. If all its files are
        the catalogue's, a manifest is written for it.
        """
        with suppress(ModelFault, OSError):
            folder = self.path(model.name)
            if not folder.is_dir() or self._read_model(model.name) is None:
                return None
            manifest = read_manifest(folder) or self._adopt(model, folder, listen)
            if manifest and manifest.commit == model.revision and quantization in (None, manifest.quantization):
                size = sum(piece.size for piece in manifest.files)
                return Pulled(model=self._read_model(model.name) or model, commit=manifest.commit, size=size, fetched=0)
        return None

    def offline(self, model: Model, quantization: str | None = None) -> Pulled:
        """*model* from the store. Raises `ModelFault` with the steps to get it without a network if it is not there."""
        here = next((each for each in self.present() if each.name == model.name), None)
        if here is not None:
            manifest = read_manifest(self.path(here.name))
            if quantization in (None, manifest.quantization if manifest else None):
                return Pulled(model=here, commit=here.revision, size=here.size, fetched=0)
        raise ModelFault(
            f"{model.name}: offline, so nothing is fetched; pull it on a machine with a network and copy its folder "
            f"{model.name} into {self.folder}, as docs/models.md describes"
        )

    # ── reading the folder ──

    def _scan(self) -> Iterator[tuple[str, Model | ModelFault]]:
        """Name, and model or fault, of each folder that holds a model, sorted by name."""
        try:
            names = sorted(entry.name for entry in self.folder.iterdir() if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            try:
                found: Model | ModelFault | None = self._read_model(name)
            except ModelFault as fault:
                found = fault
            except OSError as error:
                found = ModelFault(f"it cannot be read: {error.strerror}")
            if found is not None:
                yield name, found

    def _read_model(self, name: str) -> Model | None:
        """The complete model *name*; None for a folder that is not a model. Raises `ModelFault`, OSError."""
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
        known = _catalogue_model(name, engine, manifest)
        if manifest:
            checking.look_for_faults(name, sizes, manifest)
        catalogue.wanted(engine, sizes, manifest.quantization if manifest else None)
        if not manifest:
            checking.look_for_faults(name, sizes, manifest)
        size = sum(size for file, size in sizes.items() if file not in OURS)
        model = known or _own_model(folder, engine, manifest, note, size)
        return _with_overrides(model, note)

    def _adopt(self, model: Model, folder: Path, listen: Listen) -> Manifest | None:
        """Write and return the manifest of a *folder* that was copied in by hand, if each file is the catalogue's.

        None if not. Raises OSError.
        """
        listen(Progress(model=model.name, step="checking"))
        if not checking.is_whole(model, folder):
            return None
        known = known_files.files_of(model)
        names = catalogue.wanted(model.engine, [file.name for file in folder.iterdir() if file.is_file()])
        pieces = (FileEntry(name=name, size=known[name].size, sha256=str(known[name].sha256)) for name in sorted(names))
        manifest = _manifest(model, model.revision, tuple(pieces))
        with suppress(OSError):  # without write access, the folder is read again at the next call
            write_manifest(folder, manifest)
        return manifest

    # ── staging and publishing ──

    @contextmanager
    def _named_faults(self, name: str) -> Iterator[None]:
        """Turn failures inside the context into a `ModelFault` of one line that names the model."""
        try:
            yield
        except ModelFault as fault:
            raise ModelFault(f"{name}: {fault}") from fault
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "; free some space and pull again, which resumes the download" if full else ""
            raise ModelFault(f"{name}: {self.folder} cannot be written: {error.strerror or error}{remedy}") from error

    @contextmanager
    def _exclusive(self, name: str, listen: Listen | None) -> Iterator[Path]:
        """Lock the staging folder of *name* and yield it. Waits for the lock; without *listen*, raises `ModelFault` instead."""
        staging = self.folder / STAGING / name
        staging.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(staging / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if listen is None:
                    raise ModelFault(f"{name} is being pulled or removed at the moment") from error
                listen(Progress(model=name, step="waiting"))
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield staging
        finally:
            os.close(descriptor)  # the lock file is not deleted: waiting processes have it open

    def _fetch(self, model: Model, hub: Hub, staging: Path, listen: Listen, quantization: str | None) -> Pulled:
        """Download *model* into *staging*, reusing unchanged files, and publish it. Raises `ModelFault`, OSError."""
        listen(Progress(model=model.name, step="asking"))
        choose = partial(catalogue.wanted, model.engine, quantization=quantization)
        listing = _with_catalogue_checksums(model, hub.listing(model.repository, model.revision, choose))
        if self._is_here(model.name, listing):
            return self._pulled(model, listing, fetched=0)
        new = _prepare_staging(staging, listing)
        checksums = self._reuse_unchanged(model.name, listing, new)
        missing = listing.size - _bytes_below(new)
        self.make_sure_of_room(missing)
        done = 0
        for remote in listing.files:
            report = partial(_report_fetch, listen, model=model.name, file=remote.name, before=done, total=listing.size)
            if remote.name not in checksums:
                to = new / local(remote.name)
                checksums[remote.name] = hub.fetch(model.repository, listing.commit, remote, to, report)
            done += remote.size
            report(remote.size)
        pieces = (
            FileEntry(name=local(remote.name), size=remote.size, sha256=checksums[remote.name])
            for remote in listing.files
        )
        self._publish(model, listing.commit, tuple(pieces), staging)
        return self._pulled(model, listing, fetched=missing)

    def _is_here(self, name: str, listing: Listing) -> bool:
        """True if the complete model *name* is exactly *listing*, according to its manifest."""
        try:
            manifest = read_manifest(self.path(name)) if self._read_model(name) else None
        except (ModelFault, OSError):
            return False
        return (
            manifest is not None
            and manifest.commit == listing.commit
            and {piece.name for piece in manifest.files} == {local(remote.name) for remote in listing.files}
        )

    def _reuse_unchanged(self, name: str, listing: Listing, new: Path) -> dict[str, str]:
        """Link or copy unchanged files of the stored version into *new*; their SHA-256 by file name."""
        taken = {}
        for remote in listing.files:
            old, to = self.path(name) / local(remote.name), new / local(remote.name)
            if old.is_file() and old.stat().st_size == remote.size and fits(old, remote):
                _discard(to)
                try:
                    os.link(old.resolve(), to)
                except OSError:  # the file system has no hard links, or the file belongs to another user
                    shutil.copyfile(old, to)
                taken[remote.name] = sha256_of(old)
        return taken

    def make_sure_of_room(self, missing: int) -> None:
        """Raise `ModelFault` unless *missing* bytes fit on the disk with `SPARE` bytes left free."""
        free = shutil.disk_usage(self.folder).free
        if missing > free - SPARE:
            raise ModelFault(
                f"{missing / 1e9:.2f} GB more are needed and {free / 1e9:.2f} GB are free in {self.folder}, of which "
                f"{SPARE / 1e9:.2f} GB must stay free"
            )

    def _publish(self, model: Model, commit: str, pieces: tuple[FileEntry, ...], staging: Path) -> None:
        """Make the fetched files in `new` the model, in one step. Raises OSError."""
        new, folder = staging / "new", self.path(model.name)
        write_manifest(new, _manifest(model, commit, pieces))
        if (folder / NOTE).is_file() and not (new / NOTE).exists():
            shutil.copyfile(folder / NOTE, new / NOTE)
        for path in (*new.iterdir(), new):
            _sync(path)
        _discard(staging / "old")
        if _exists(folder):
            folder.rename(staging / "old")
        new.rename(folder)
        _sync(self.folder)
        _discard(staging / "old")

    def _pulled(self, model: Model, listing: Listing, fetched: int) -> Pulled:
        here = self._read_model(model.name) or model
        return Pulled(model=here, commit=listing.commit, size=listing.size, fetched=fetched)


def _prepare_staging(staging: Path, listing: Listing) -> Path:
    """The folder `new` of a pull, without files that do not belong to *listing*. Raises OSError.

    A partial file that may come from another commit is deleted: completed with bytes of this commit, it would not match
    its checksum.
    """
    _discard(staging / "old")
    new, commit = staging / "new", staging / "commit"
    new.mkdir(exist_ok=True)
    same = commit.is_file() and commit.read_text(encoding="ascii", errors="replace") == listing.commit
    remotes = {local(remote.name): remote for remote in listing.files}
    for path in list(new.iterdir()):
        remote = remotes.get(path.name)
        if remote is None or not path.is_file() or not (same or fits(path, remote)):
            _discard(path)
    commit.write_text(listing.commit, encoding="ascii")
    return new


def _with_catalogue_checksums(model: Model, listing: Listing) -> Listing:
    """*listing* with the catalogue's checksums in place of the hub's. Raises `ModelFault` if a size differs."""
    known = known_files.files_of(model)
    files = []
    for remote in listing.files:
        entry = known.get(local(remote.name))
        if entry and entry.size != remote.size:
            raise ModelFault(
                f"{remote.name} has {remote.size} bytes there and {entry.size} in the catalogue: do not trust this source"
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


def _write(contents: Iterable[Content], new: Path, report: Callable[[str, int], None]) -> Iterator[FileEntry]:
    """Write *contents* into the folder *new*. Raises OSError, and `ModelFault` for a wrong size or checksum."""
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
                report(content.name, done + size)
        if size < content.size:
            raise ModelFault(f"{content.name} ends after {size} of {content.size} bytes")
        if content.sha256 not in (None, digest.hexdigest()):
            raise ModelFault(f"{content.name} does not match the checksum of the catalogue")
        done += size
        yield FileEntry(name=content.name, size=size, sha256=digest.hexdigest())


def _report_writing(listen: Listen, model: str, total: int, file: str, done: int) -> None:
    listen(Progress(model=model, step="unpacking", file=file, done=done, total=total))


def _report_check(listen: Listen, model: str, file: str, done: int, total: int) -> None:
    listen(Progress(model=model, step="checking", file=file, done=done, total=total))


def _report_fetch(listen: Listen, here: int, *, model: str, file: str, before: int, total: int) -> None:
    listen(Progress(model=model, step="fetching", file=file, done=before + here, total=total))


# ── metadata of a folder ──


def _catalogue_model(name: str, engine: str, manifest: Manifest | None) -> Model | None:
    """The catalogue's model *name*, at the commit of *manifest*; None if the catalogue lacks it. Raises `ModelFault`."""
    model = CATALOGUE.get(name)
    if model is None:
        return None
    if model.engine != engine:
        raise ModelFault(f"{name} is a model for {model.engine}, and these files are for {engine}: rename the folder")
    return replace(model, revision=manifest.commit) if manifest else model


def _own_model(folder: Path, engine: str, manifest: Manifest | None, note: ModelOverrides, size: int) -> Model:
    languages = note.languages or (manifest.languages if manifest else None)
    if languages is None and engine in SILENT:
        raise ModelFault(f'its files do not name its languages: put {{"languages": ["en"]}} into {NOTE} in its folder')
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


def _with_overrides(model: Model, note: ModelOverrides) -> Model:
    """*model* with the operator's settings from *note*."""
    settings = {"languages": note.languages, "grade": note.grade, "suits": note.suits, "licence": note.licence}
    return replace(model, **{name: value for name, value in settings.items() if value is not None})  # type: ignore[arg-type]


def _is_multilingual(folder: Path) -> bool:
    """True if the Whisper model in *folder* supports more languages than English.

    As in CTranslate2: a model is multilingual if its vocabulary has the size of a multilingual one or, as of 4.8, contains
    the empty token.
    """
    listed, lines = folder / "vocabulary.json", folder / "vocabulary.txt"
    file = listed if listed.is_file() else lines
    if file.stat().st_size > _MAX_VOCABULARY:
        raise ModelFault(f"{file.name} is not a vocabulary: it is too large")
    if file == lines:
        words: object = lines.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    else:
        try:
            words = json.loads(listed.read_bytes())
        except (ValueError, RecursionError):
            words = None
    if not isinstance(words, list):
        raise ModelFault(f"{file.name} is not a list of words")
    return "" in words or len(words) >= _MULTILINGUAL


# ── files ──


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _bytes_below(folder: Path) -> int:
    """Bytes of the files below *folder*; 0 if *folder* is a symbolic link."""
    if folder.is_symlink() or not folder.is_dir():
        return 0
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def _discard(path: Path) -> None:
    """Delete the file or folder *path*; of a symbolic link only the link. Raises OSError."""
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
