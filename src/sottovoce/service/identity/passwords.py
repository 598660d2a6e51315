"""Passwords: the rules for new ones, and their Argon2id hashes, computed and checked off the event loop.

The cost is the second recommended option of RFC 9106 §4: 64 MiB, three passes, four lanes; a setting changes the memory. A hash
contains its own cost: if the cost changes, each hash is replaced when its user logs in.
"""

import asyncio
import base64
import os
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from sottovoce.errors import Kind, Refused

T = TypeVar("T")
SHORTEST, LONGEST = 10, 256
"""Characters of a password."""
AT_A_TIME = 2
"""Hashes computed at the same time: at the safe cost they use 128 MiB in all, the most memory that logins may take."""
MOST_WAITING = 64
"""Requests that wait for a hash, about three seconds of work; further requests are rejected."""

SAFE_MEMORY = RFC_9106_LOW_MEMORY.memory_cost
"""KiB of a hash at the recommended cost."""


def checked(password: str, email: str | None, *, at: str = "password") -> str:
    """Return *password* if the user with *email* may choose it. Raises `Refused` otherwise."""
    if not SHORTEST <= len(_normal(password)) <= LONGEST:
        raise Refused(Kind.BAD_REQUEST, f"must have {SHORTEST} to {LONGEST} characters", at=at)
    if any(unicodedata.category(character) == "Cs" for character in password):
        raise Refused(Kind.BAD_REQUEST, "must contain only valid Unicode characters", at=at)
    if email is not None and _normal(password).casefold() == _normal(email).casefold():
        raise Refused(Kind.BAD_REQUEST, "must not be the e-mail address", at=at)
    return password


def _normal(password: str) -> str:
    """Return *password* in NFKC: keyboards encode the same character differently (NIST SP 800-63B §5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")


class Hasher:
    """Makes and checks hashes that take *memory* KiB, and at the safe cost a large part of a second of processor time."""

    def __init__(self, memory: int = SAFE_MEMORY) -> None:
        self._cost = replace(RFC_9106_LOW_MEMORY, memory_cost=memory)
        self._argon2 = PasswordHasher.from_parameters(self._cost)

    def hashed(self, password: str) -> str:
        """Return the Argon2id hash of *password*."""
        return self._argon2.hash(_bytes(password))

    def matches(self, kept: str | None, password: str) -> bool:
        """True if *kept* is the hash of *password*.

        *kept* `None` (no such user) takes the same time, so that the time does not reveal which users exist.
        """
        try:
            return self._argon2.verify(self.hash_for_unknown_users() if kept is None else kept, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, kept: str) -> bool:
        """True if *kept* has a cost other than the current one."""
        return self._argon2.check_needs_rehash(kept)

    def hash_for_unknown_users(self) -> str:
        """Return a hash at the current cost that matches no password: its digest is random, so it needs no computation."""
        cost = self._cost
        parts = (base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (cost.salt_len, cost.hash_len))
        settings = f"m={cost.memory_cost},t={cost.time_cost},p={cost.parallelism}"
        return "$".join(["", "argon2id", f"v={cost.version}", settings, *parts])


class Hashing:
    """Computes and checks the hashes of *hasher* in threads, `AT_A_TIME` at the same time."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._waiting = 0

    async def hashed(self, password: str) -> str:
        """Like `Hasher.hashed`, in a thread. Raises `Refused(UNAVAILABLE)` when `MOST_WAITING` calls wait."""
        return await self._in_thread(lambda: self._hasher.hashed(password))

    async def matches(self, kept: str | None, password: str) -> bool:
        """Like `Hasher.matches`, in a thread. Raises `Refused(UNAVAILABLE)` when `MOST_WAITING` calls wait."""
        return await self._in_thread(lambda: self._hasher.matches(kept, password))

    def is_outdated(self, kept: str) -> bool:
        """True if *kept* has a cost other than the current one."""
        return self._hasher.is_outdated(kept)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Refused(Kind.UNAVAILABLE, "too many logins are in progress; try again in a few seconds")
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
