"""The loop of `watch`: finds media that have stopped growing, transcribes each once, and marks or moves it.

In order: values, what is ready, one file, where its outputs go, moving.
"""

import errno
import itertools
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sottovoce.cli.files.failures import FileFailed, Unavailable
from sottovoce.cli.files.journal import Entry, Journal, Mark, Version
from sottovoce.cli.files.outputs import Outputs
from sottovoce.cli.files.reports import Reports
from sottovoce.cli.files.run import Transcriber
from sottovoce.cli.files.sources import Source, SourceKind, media_of

PAUSES = (5.0, 15.0, 60.0)
"""Seconds until the next try after the server, the engine or the disk could not be used; the last one repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The watched folder, where its transcripts go, and where its files go when they are done or failed (`None`: they stay)."""

    folder: Path
    outputs: Outputs
    done: Path | None = None
    failed: Path | None = None

    @property
    def apart(self) -> frozenset[Path]:
        """Folders that are not watched although they may lie in the watched one."""
        found = (self.outputs.folder, self.done, self.failed)
        return frozenset(each.resolve() for each in found if each is not None) - {self.folder.resolve()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    path: Path
    file: str
    version: Version


class Watcher:
    """*settle*: seconds for which a file must stay as it is. *again*: failed files are tried once more, once."""

    def __init__(
        self,
        places: Places,
        journal: Journal,
        opened: Callable[[], Transcriber],
        reports: Reports,
        *,
        settle: float,
        again: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._journal, self._opened, self._reports = places, journal, opened, reports
        self._settle, self._again, self._clock = settle, again, clock
        self._seen: dict[str, tuple[Version, float]] = {}
        self._retried: set[str] = set()
        self._troubles = 0
        self.done = 0
        self.failed = 0
        self.current = ""

    def run(self, wait: Callable[[], bool], *, once: bool) -> bool:
        """Work until *wait*, which pauses between two looks, is false; with *once* until no file is left.

        Return false if *once* ended because the server, the engine or the disk could not be used.
        """
        going = True
        while going:
            try:
                for ready in self._ready():
                    self._one(ready)
                if once and not self._seen:
                    return True
                going = wait()
            except Unavailable as error:
                self._reports.postponed(self.current or str(self._places.folder), str(error))
                if once:
                    return False
                going = self._pause(wait)
        return True

    def _pause(self, wait: Callable[[], bool]) -> bool:
        until = self._clock() + PAUSES[min(self._troubles, len(PAUSES) - 1)]
        self._troubles += 1
        while self._clock() < until:
            if not wait():
                return False
        return True

    # ── what is ready ──

    def _ready(self) -> Iterator[_Ready]:
        """The files to be transcribed that have not changed for the time to settle."""
        present = {}
        for path in media_of(self._places.folder, self._places.apart):
            version = Version.of(path)
            if version is not None:
                file = path.relative_to(self._places.folder).as_posix()
                present[file] = _Ready(path=path, file=file, version=version)
        self._seen = {file: seen for file, seen in self._seen.items() if file in present}
        for ready in present.values():
            if self._ended(ready):
                self._seen.pop(ready.file, None)
                continue
            version, since = self._seen.get(ready.file, (None, 0.0))
            if version != ready.version:
                self._seen[ready.file] = (ready.version, self._clock())
            elif self._clock() - since >= self._settle:
                yield ready

    def _ended(self, ready: _Ready) -> bool:
        """True if this version of the file is done or has failed; a file that was not moved then is moved now."""
        entry = self._journal.last(ready.file)
        if entry is None or entry.version != ready.version:
            return False
        if entry.mark is Mark.BEGUN:
            if not self._written(entry):
                return False
            self._journal.end(entry, Mark.DONE)  # the end came between the outputs and the line about them
            self._tell_done(ready, entry)
        elif entry.mark is Mark.FAILED and self._again and ready.file not in self._retried:
            self._retried.add(ready.file)
            self._journal.write(
                replace(entry, mark=Mark.BEGUN, token=secrets.token_hex(16), before=self._outputs(entry.place))
            )
            return False
        entry = self._journal.last(ready.file) or entry
        self._move(ready, entry)
        return True

    def _written(self, entry: Entry) -> bool:
        now = self._outputs(entry.place)
        return len(now) == len(self._paths(entry.place)) and all(
            entry.before.get(path) != is_ for path, is_ in now.items()
        )

    # ── one file ──

    def _one(self, ready: _Ready) -> None:
        """Transcribe a file and mark it. Raises `Unavailable`."""
        if not self._same(ready):
            return
        self.current = str(ready.path)
        entry = self._begun(ready)
        source = Source(
            kind=SourceKind.FILE,
            text=str(ready.path),
            name=ready.path.name,
            place=Path(entry.place),
            token=entry.token,
        )
        try:
            transcriber = self._opened()
            with self._reports.file(source.text, 1) as listen:
                rendered = transcriber.transcribe(source, tuple(self._places.outputs.suffixes), listen)
            if self._same(ready):
                self._places.outputs.write(source, rendered)
                self._journal.end(entry, Mark.DONE)
                self._tell_done(ready, entry)
        except Unavailable:
            raise
        except FileFailed as error:
            if self._same(ready):
                self._journal.end(entry, Mark.FAILED, str(error))
                self.failed += 1
                self._reports.failed(source.text, str(error))
        self._troubles = 0
        self.current = ""
        if self._same(ready):
            self._seen.pop(ready.file, None)
            self._ended(ready)

    @staticmethod
    def _same(ready: _Ready) -> bool:
        """False if the file has grown or gone since it was found: it is done when it has settled again."""
        return Version.of(ready.path) == ready.version

    def _tell_done(self, ready: _Ready, entry: Entry) -> None:
        self.done += 1
        self._reports.done(str(ready.path), self._paths(entry.place))

    def _begun(self, ready: _Ready) -> Entry:
        """The line `begun` of this version: the one of an interrupted run, or a new one. Raises `Unavailable`."""
        earlier = self._journal.last(ready.file)
        if earlier is not None and earlier.version == ready.version and earlier.mark is Mark.BEGUN:
            return earlier
        place = self._place(ready)
        return self._journal.write(
            Entry(
                file=ready.file,
                version=ready.version,
                place=place,
                token=secrets.token_hex(16),
                mark=Mark.BEGUN,
                before=self._outputs(place),
            )
        )

    # ── where its outputs go ──

    def _place(self, ready: _Ready) -> str:
        """The place of the outputs: the file's name, unless outputs of another file are there.

        A file that is changed in its folder replaces its outputs. One that arrives where an earlier one was moved away does not.
        """
        path = Path(ready.file)
        stem = path.with_suffix("")
        whole = () if self._journal.owner(str(stem)) == ready.file else (path,)
        numbered = (path.with_name(f"{path.stem}-{number}") for number in itertools.count(2))
        names = itertools.chain((stem, *whole), numbered)
        return next(str(each) for each in names if self._free(str(each), ready.file))

    def _free(self, place: str, file: str) -> bool:
        owner = self._journal.owner(place)
        if owner == file and self._places.done is None:
            return True
        return owner is None and not self._outputs(place)

    def _paths(self, place: str) -> list[Path]:
        source = Source(kind=SourceKind.FILE, text="", name="", place=Path(place))
        return list(self._places.outputs.paths(source).values())

    def _outputs(self, place: str) -> Mapping[str, tuple[int, int]]:
        """Inode and time of each output at *place* that exists."""
        found = {}
        for path in self._paths(place):
            if path.exists():
                known = path.stat()
                found[str(path)] = (known.st_ino, known.st_mtime_ns)
        return found

    # ── moving ──

    def _move(self, ready: _Ready, entry: Entry) -> None:
        folder = self._places.done if entry.mark is Mark.DONE else self._places.failed
        if folder is None:
            return
        place = Path(entry.place)
        wanted = folder / (
            place if place.suffix == ready.path.suffix else place.with_name(place.name + ready.path.suffix)
        )
        try:
            target = next(each for each in _names(wanted) if not each.exists())
            target.parent.mkdir(parents=True, exist_ok=True)
            _rename(ready.path, target)
        except OSError as error:
            self._reports.failed(
                str(ready.path), f"it is {entry.mark}, but not moved to {folder}: {error.strerror or error}"
            )


def _names(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 100_000))


def _rename(path: Path, target: Path) -> None:
    """Move *path*; to another disk by a copy that appears whole. Raises `OSError`."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = target.with_name(f".{target.name}.part")
        shutil.copy2(path, beside)
        beside.replace(target)
        path.unlink()
