"""Where transcripts are written: standard output, one file, or a folder. A file appears whole or not at all."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sottovoce.cli.files.failures import Unavailable
from sottovoce.cli.files.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """*suffixes*: by name of format, in the order of the options. *file* or *folder*, or neither for standard output."""

    suffixes: Mapping[str, str]
    file: Path | None = None
    folder: Path | None = None

    def paths(self, source: Source) -> dict[str, Path]:
        """The output of *source* in each format; empty for standard output."""
        if self.file is not None:
            return dict.fromkeys(self.suffixes, self.file)
        if self.folder is None:
            return {}
        base = self.folder / source.place
        return {form: base.with_name(base.name + suffix) for form, suffix in self.suffixes.items()}

    def complete(self, source: Source) -> bool:
        """True if every output of *source* exists."""
        paths = self.paths(source).values()
        return bool(paths) and all(path.exists() for path in paths)

    def write(self, source: Source, rendered: Mapping[str, bytes]) -> Sequence[Path]:
        """Write *rendered* (by format) and return the paths. Raises `Unavailable`."""
        paths = self.paths(source)
        for form, path in paths.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, rendered[form])
            except OSError as error:
                raise Unavailable(f"cannot write {path}: {error.strerror or error}") from error
        return tuple(paths.values())


def write_whole(path: Path, content: bytes) -> None:
    """Write *content* to a file beside *path* and rename that, so that *path* never holds a part. Raises `OSError`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
