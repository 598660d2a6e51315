"""The data folder of an embedded server: its paths, and the lock that keeps a second server out."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class FolderInUse(Exception):
    """Another server uses this region's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """The paths of one region below a data folder."""

    root: Path
    region: str

    @property
    def home(self) -> Path:
        """The region's own folder."""
        return self.root / self.region

    @property
    def control_database(self) -> Path:
        """The control database."""
        return self.root / "control.db"

    @property
    def region_database(self) -> Path:
        """The database with the jobs and the queue of this region."""
        return self.home / "region.db"

    @property
    def ballast(self) -> Path:
        """Space that deletions may use when the disk is full."""
        return self.home / "ballast"

    @property
    def blobs(self) -> Path:
        """Media and transcripts of this region."""
        return self.home / "blobs"

    @property
    def scratch(self) -> Path:
        """Temporary files, removed at each start."""
        return self.home / "tmp"

    @property
    def secrets_key(self) -> Path:
        """The default key file of the `Encryptor`."""
        return self.root / "secrets.key"

    @property
    def api_key(self) -> Path:
        """The file with the first API key, for the operator."""
        return self.root / "api-key"

    def prepare(self) -> None:
        """Create the folders, accessible only to their owner."""
        for folder in (self.root, self.home, self.blobs, self.scratch):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def lock(self) -> int:
        """Lock the region for this process, and return the lock's descriptor. The kernel releases it when the process ends.

        Raises `FolderInUse`.
        """
        descriptor = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise FolderInUse(
                f"another server is using region {self.region} of {self.root}: stop it, or name another folder with --data-dir"
            ) from error
        return descriptor

    def own_scratch(self, name: str) -> tuple[Path, int]:
        """Create a temporary folder for one of several processes. Returns its path, and the descriptor that locks it while open.

        Removes the folders of processes that have ended. Raises `FolderInUse`.
        """
        with _locked(self.scratch):
            for entry in self.scratch.iterdir():
                if (descriptor := _try_lock(entry)) is not None:
                    shutil.rmtree(entry, ignore_errors=True)
                    os.close(descriptor)
            folder = self.scratch / name
            folder.mkdir(mode=0o700)
            descriptor = _try_lock(folder)
        if descriptor is None:
            raise FolderInUse(f"another process is using {folder}")
        return folder, descriptor

    def wipe_scratch(self) -> None:
        """Remove what a killed process left in the temporary folder. Call it only while holding the lock."""
        for entry in self.scratch.iterdir():
            whole = entry.is_dir() and not entry.is_symlink()
            shutil.rmtree(entry, ignore_errors=True) if whole else entry.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _try_lock(folder: Path) -> int | None:
    """Lock *folder* while the returned descriptor is open; `None` if another process has locked it, or it is not a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
