"""Passwords: which may be chosen, and their Argon2id hashes, made and checked off the event loop.

The cost is the second recommended option of RFC 9106 §4: 64 MiB, three passes, four lanes. A hash tells its own cost, so that a
later one may be dearer and each is made anew when its owner logs in.
"""

import asyncio
import base64
import os
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from sottovoce.errors import Kind, Refused

T = TypeVar("T")
SHORTEST, LONGEST = 10, 256
"""Characters of a password."""
AT_A_TIME = 2
"""Hashes in the making: their memory, 128 MiB in all, is what logging in may cost the machine."""
MOST_WAITING = 64
"""Who waits for one: about three seconds' worth; whoever comes then is told to try again."""

_hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def checked(password: str, email: str | None, *, at: str = "password") -> str:
    """*password*, which the user with *email* chose. Raises `Refused`."""
    if not SHORTEST <= len(_normal(password)) <= LONGEST:
        raise Refused(Kind.BAD_REQUEST, f"must have {SHORTEST} to {LONGEST} characters", at=at)
    if any(unicodedata.category(character) == "Cs" for character in password):
        raise Refused(Kind.BAD_REQUEST, "must be whole characters", at=at)
    if email is not None and _normal(password).casefold() == _normal(email).casefold():
        raise Refused(Kind.BAD_REQUEST, "must not be the e-mail address", at=at)
    return password


def hashed(password: str) -> str:
    """What is stored of *password*. Takes 64 MiB and a good part of a second of processor time."""
    return _hasher.hash(_bytes(password))


def matches(kept: str | None, password: str) -> bool:
    """Whether *kept* was made of *password*; as slow where nothing is kept, so that the time tells nobody who is known here."""
    try:
        return _hasher.verify(_hash_for_unknown_users() if kept is None else kept, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def is_cheap(kept: str) -> bool:
    """Whether *kept* was made at another cost than today's."""
    return _hasher.check_needs_rehash(kept)


def _normal(password: str) -> str:
    """Keyboards write the same character in different ways (NIST SP 800-63B §5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")


def _hash_for_unknown_users() -> str:
    """The hash of no password at today's cost: random where a digest would be, hence made in no time."""
    cost = RFC_9106_LOW_MEMORY
    parts = (base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (cost.salt_len, cost.hash_len))
    settings = f"m={cost.memory_cost},t={cost.time_cost},p={cost.parallelism}"
    return "$".join(["", "argon2id", f"v={cost.version}", settings, *parts])


class Hashing:
    """Makes and checks hashes beside the event loop, `AT_A_TIME` of them."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_A_TIME)
        self._waiting = 0

    async def hashed(self, password: str) -> str:
        """`hashed`. Raises `Refused(UNAVAILABLE)` when too many wait."""
        return await self._aside(lambda: hashed(password))

    async def matches(self, kept: str | None, password: str) -> bool:
        """`matches`. Raises `Refused(UNAVAILABLE)` when too many wait."""
        return await self._aside(lambda: matches(kept, password))

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Refused(Kind.UNAVAILABLE, "too many are logging in at the moment; try again")
        self._waiting += 1
        try:
            async with self._room:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
