"""Sealing what callers entrust to us: submitted configs hold notification and fetch credentials."""

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Vault:
    """Seals with the first key of a file, opens with any of them: a new first line rotates."""

    def __init__(self, keys: list[bytes]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def open_file(cls, path: Path, *, create: bool) -> "Vault":
        """The vault of the keys in *path*, one a line; made with one fresh key (mode 0600) if allowed and absent."""
        if create and not path.exists():
            write_secret(path, Fernet.generate_key().decode() + "\n")
        keys = path.read_bytes().split()
        if not keys:
            raise ValueError(f"no key in {path.name}")
        return cls(keys)

    def seal(self, text: bytes) -> bytes:
        """*text*, unreadable without the key file."""
        return self._fernet.encrypt(text)

    def unseal(self, sealed: bytes) -> bytes:
        """The text of *sealed*. Raises `ValueError` when no key of the file opens it."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise ValueError("sealed with a key that is not in the key file") from error


def write_secret(path: Path, text: str) -> None:
    """Write *text* to a new file that only its owner may read, durably and whole. Raises `FileExistsError`."""
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)  # never half a key, whenever we are killed; and it replaces nothing
    finally:
        draft.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
