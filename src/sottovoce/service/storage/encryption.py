"""Encryption at rest: submitted configs contain credentials for notifications and fetches."""

import logging
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]
"""Inode, modification time (ns) and size of the key file; a change means that its keys may have changed."""


class KeyFileFault(ValueError):
    """The file of keys cannot be used. The text is one line that names the file."""


class Encryptor:
    """Encrypts with the first key of a file, decrypts with any of them. Reads a changed file again at the next use."""

    def __init__(self, keys: list[bytes]) -> None:
        self._fernets = _fernets(keys)
        self.keys = tuple(keys)
        self._path: Path | None = None
        self._stamp: _Stamp | None = None

    @classmethod
    def open_file(cls, path: Path, *, create: bool) -> "Encryptor":
        """Return an encryptor with the keys in *path*, one per line. *create*: create a missing file with a new key (mode 0600).

        Raises `KeyFileFault`.
        """
        if create and not path.exists():
            write_secret(path, new_key().decode() + "\n")
        stamp = _stamp(path)  # read before the keys, so that a change in between is detected later
        try:
            encryptor = cls(read_keys(path))
        except OSError as error:
            cure = "name a file of keys that the server's user can read (docs/backup.md)"
            raise KeyFileFault(f"the file of keys {path} cannot be read: {error.strerror}; {cure}") from error
        except ValueError as error:
            raise KeyFileFault(
                f"the file of keys {path} cannot be used: {error}; put the right file back (docs/backup.md)"
            ) from error
        encryptor._path, encryptor._stamp = path, stamp
        return encryptor

    def encrypt(self, text: bytes) -> bytes:
        """Return *text* encrypted with the first key."""
        return self._keys()[0].encrypt(text)

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return the text of *encrypted*. Raises `ValueError` if no key of the file decrypts it."""
        try:
            return MultiFernet(self._keys()).decrypt(encrypted)
        except InvalidToken as error:
            raise ValueError("encrypted with a key that is not in the key file") from error

    def opens(self, encrypted: bytes) -> bool:
        """True if a key of the file decrypts *encrypted*."""
        try:
            self.decrypt(encrypted)
        except ValueError:
            return False
        return True

    def is_newest(self, encrypted: bytes) -> bool:
        """True if *encrypted* is encrypted with the first key of the file."""
        try:
            self._keys()[0].decrypt(encrypted)
        except InvalidToken:
            return False
        return True

    def _keys(self) -> list[Fernet]:
        """Return the current keys of the file, or the previous ones while it cannot be read."""
        if self._path is not None and (stamp := _stamp(self._path)) != self._stamp:
            try:
                keys = read_keys(self._path)
                self._fernets, self.keys = _fernets(keys), tuple(keys)
            except (OSError, ValueError):
                _log.warning("key file cannot be read, its old keys stay in use", extra={"file": self._path.name})
            self._stamp = stamp
        return self._fernets


def new_key() -> bytes:
    """Return a new key for a key file."""
    return Fernet.generate_key()


def read_keys(path: Path) -> list[bytes]:
    """Return the keys in *path*, newest first. Raises `ValueError` if there is none, and `OSError`."""
    keys = path.read_bytes().split()
    if not keys:
        raise ValueError(f"no key in {path.name}")
    return keys


def _fernets(keys: list[bytes]) -> list[Fernet]:
    """Raises `ValueError` with the number of the key that is none."""
    fernets = []
    for number, key in enumerate(keys, 1):
        try:
            fernets.append(Fernet(key))
        except ValueError as error:
            raise ValueError(f"key {number} is not 32 bytes in URL-safe base64 (44 characters)") from error
    return fernets


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def write_secret(path: Path, text: str) -> None:
    """Write *text* atomically and durably to a new file that only its owner can read. Raises `FileExistsError`."""
    draft = _drafted(path, text)
    try:
        path.hardlink_to(draft)  # atomic, and fails if the file exists
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def replace_keys(path: Path, keys: list[bytes]) -> None:
    """Replace the content of the file at *path* with *keys*, newest first; its owner and mode stay. Raises `OSError`."""
    path = path.resolve()  # a link stays a link
    before = path.stat()
    draft = _drafted(path, "".join(f"{key.decode()}\n" for key in keys))
    try:
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):  # otherwise the server could not read it
            os.chown(draft, before.st_uid, before.st_gid)
        draft.chmod(before.st_mode & 0o777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _drafted(path: Path, text: str) -> Path:
    """Write *text* durably to a new temporary file beside *path*, and return its path."""
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
