"""Encryption at rest: submitted configs contain credentials for notifications and fetches.

In order: `Encryptor`; Fernet in pieces, for large values; files of keys.
"""

import base64
import binascii
import logging
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

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

    def _keys(self) -> Sequence[Fernet]:
        """Return the current keys of the file, or the previous ones while it cannot be read."""
        if self._path is not None and (stamp := _stamp(self._path)) != self._stamp:
            try:
                keys = read_keys(self._path)
                self._fernets, self.keys = _fernets(keys), tuple(keys)
            except (OSError, ValueError):
                _log.warning("key file cannot be read, its old keys stay in use", extra={"file": self._path.name})
            self._stamp = stamp
        return self._fernets


# ── Fernet in pieces ──

_PIECE = 48 << 10
"""Bytes of a value that one call encrypts: whole blocks of AES and whole groups of base64. Each call holds the interpreter lock, so
that a value of 4 MB in one call would stop the event loop for tens of milliseconds."""
_ENCODED = _PIECE // 3 * 4
_BLOCK = 16
_VERSION = b"\x80"
_HEAD = 1 + 8 + _BLOCK  # version, time, initialisation vector
_TAG = 32


class _Fernet(Fernet):
    """Fernet that encrypts and decrypts a large value in pieces. The tokens are the same (github.com/fernet/spec)."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        raw = base64.urlsafe_b64decode(key)
        self._signs, self._encrypts = raw[:_BLOCK], raw[_BLOCK:]

    def encrypt(self, data: bytes) -> bytes:
        """The token of *data*."""
        if len(data) <= _PIECE:
            return super().encrypt(data)
        vector = os.urandom(_BLOCK)
        parts = [_VERSION + int(time.time()).to_bytes(8, "big") + vector]
        cipher = Cipher(algorithms.AES(self._encrypts), modes.CBC(vector)).encryptor()
        for piece in _pieces(data, _PIECE):
            missing = _BLOCK - len(piece) % _BLOCK if len(piece) < _PIECE else 0
            parts.append(cipher.update(piece + bytes([missing]) * missing))
        if len(data) % _PIECE == 0:
            parts.append(cipher.update(bytes([_BLOCK]) * _BLOCK))
        parts += [cipher.finalize(), self._tag(parts).finalize()]
        return b"".join(map(base64.urlsafe_b64encode, _pieces(b"".join(parts), _PIECE)))

    def decrypt(self, token: bytes | str, ttl: int | None = None) -> bytes:
        """The value of *token*. Raises `InvalidToken`."""
        if not isinstance(token, bytes) or ttl is not None or len(token) <= _ENCODED:
            return super().decrypt(token, ttl)
        try:
            raw = b"".join(map(base64.urlsafe_b64decode, _pieces(token, _ENCODED)))
        except binascii.Error:
            raise InvalidToken from None
        if raw[:1] != _VERSION or (len(raw) - _HEAD - _TAG) % _BLOCK:
            raise InvalidToken
        body = raw[:-_TAG]
        try:
            self._tag(_pieces(body, _PIECE)).verify(raw[-_TAG:])
        except InvalidSignature:
            raise InvalidToken from None
        cipher = Cipher(algorithms.AES(self._encrypts), modes.CBC(body[_HEAD - _BLOCK : _HEAD])).decryptor()
        data = b"".join([*map(cipher.update, _pieces(body[_HEAD:], _PIECE)), cipher.finalize()])
        return data[: -data[-1]]  # the tag is right, so the padding is ours

    def _tag(self, parts: "Iterator[bytes] | list[bytes]") -> HMAC:
        tag = HMAC(self._signs, SHA256())
        for part in parts:
            tag.update(part)
        return tag


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[first : first + size] for first in range(0, len(data), size))


# ── files of keys ──


def new_key() -> bytes:
    """Return a new key for a key file."""
    return Fernet.generate_key()


def read_keys(path: Path) -> list[bytes]:
    """Return the keys in *path*, newest first. Raises `ValueError` if there is none, and `OSError`."""
    keys = path.read_bytes().split()
    if not keys:
        raise ValueError(f"no key in {path.name}")
    return keys


def _fernets(keys: list[bytes]) -> list[_Fernet]:
    """Raises `ValueError` with the number of the key that is none."""
    fernets = []
    for number, key in enumerate(keys, 1):
        try:
            fernets.append(_Fernet(key))
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
