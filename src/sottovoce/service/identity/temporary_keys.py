"""Temporary keys: JWTs with the key and project they stand for, their product and expiry (contract §13.3; RFC 7519).

Each region signs with its own Ed25519 key, whose private half is stored encrypted. Every region of the installation can verify
the signature with the public half, and none can sign for another region.

Parts, in order:
- `TokenRequest`, `Claims` and `VerificationKey`;
- verification of a token;
- `TokenIssuer`, which signs tokens;
- signing keys: reading, renewing and removing them.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jwt
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity.api_keys import MAX_CLIENT_REF, Caller, Product, checked
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from sottovoce.service.storage.encryption import Encryptor

_log = logging.getLogger(__name__)

ALGORITHM = "EdDSA"
ISSUER = "sottovoce"
MIN_TTL, MAX_TTL = 60, 86_400
"""Seconds for which a temporary key can be valid (contract §11)."""
SKEW = 10
"""Seconds by which the clocks of two servers may differ: a temporary key is valid that much earlier and later."""
MAX_TOKEN = 4096
"""Characters of a token; longer ones are not parsed."""
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_CLAIMS = ("iss", "iat", "exp", "jti", "type", "region", "key", "project")


class InvalidToken(Exception):
    """The temporary key was not issued by this installation, or is not valid yet."""


class Expired(InvalidToken):
    """The temporary key has expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A request for a temporary key. *ttl* in seconds. *since*: that of `Claims`."""

    key_id: str
    project_id: int
    product: Product
    ttl: int
    client_ref: str | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of a temporary key. *issued* and *expires* in epoch seconds.

    *since*: when the person signed in whose portal may renew this key (epoch seconds); `None` for every other key.
    """

    id: str
    key_id: str
    project_id: int
    product: Product
    region: str
    client_ref: str | None
    issued: int
    expires: int
    since: int | None = None

    def check(self, now: float) -> None:
        """Raise `Expired` or `InvalidToken` if the key is not valid at *now* (epoch seconds)."""
        if now < self.issued - SKEW:
            raise InvalidToken("not valid yet")
        if now >= self.expires + SKEW:
            raise Expired

    def caller(self, holder: Caller) -> Caller:
        """Return the caller of this temporary key; *holder* is the caller of its permanent key.

        It manages nothing, except where it is of the type for that and its permanent key manages.
        """
        return replace(
            holder,
            client_ref=self.client_ref if holder.client_ref is None else holder.client_ref,
            manages=holder.manages and self.product is Product.MANAGE,
            token_id=self.id,
            product=self.product,
            region=self.region,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """The public half of a region's signing key."""

    id: str
    region: str
    public_key: Ed25519PublicKey


def signing_key_of(token: str) -> str | None:
    """Return the id of the signing key that the header of *token* names; `None` if *token* has another format."""
    if len(token) > MAX_TOKEN or token.count(".") != 2:  # noqa: PLR2004 - RFC 7515 §3.1
        return None
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    key_id = header.get("kid")
    ours = header.get("alg") == ALGORITHM and isinstance(key_id, str) and _KEY_ID.fullmatch(key_id)
    return key_id if ours else None


def verify(token: str, verification_key: VerificationKey) -> Claims:
    """Return the claims of *token*, verified with *verification_key*; times are not checked. Raises `InvalidToken`."""
    try:
        # `Claims.check` checks the times, because the service passes clocks as arguments
        payload = jwt.decode(
            token,
            verification_key.public_key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        claims = _claims(payload)
    except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
        raise InvalidToken("the signature or the claims are invalid") from error
    if claims.region != verification_key.region:
        raise InvalidToken("signed with the key of another region")
    return claims


def _claims(payload: dict[str, Any]) -> Claims:
    numbers = [payload[name] for name in ("iat", "exp", "project")] + [payload.get("auth_time", 0)]
    texts = [payload[name] for name in ("jti", "key", "region", "type")] + [payload.get("client_ref", "")]
    if not all(type(number) is int for number in numbers) or not all(isinstance(text, str) for text in texts):
        raise TypeError("claims have wrong types")
    issued, expires = payload["iat"], payload["exp"]
    if not MIN_TTL <= expires - issued <= MAX_TTL:
        raise ValueError("the lifetime is outside the allowed range")
    return Claims(
        id=payload["jti"],
        key_id=payload["key"],
        project_id=payload["project"],
        product=Product(payload["type"]),
        region=payload["region"],
        client_ref=payload.get("client_ref"),
        issued=issued,
        expires=expires,
        since=payload.get("auth_time"),
    )


class TokenIssuer:
    """Issues temporary keys for *region*. *clock* gives epoch seconds."""

    def __init__(
        self, control: Database, encryptor: Encryptor, region: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._control = control
        self._encryptor = encryptor
        self._region = region
        self._clock = clock
        self._opened: tuple[str, Ed25519PrivateKey] | None = None

    async def make(self, grant: TokenRequest) -> tuple[str, Claims]:
        """Return a new temporary key and its claims. Raises `Refused` for a `ttl` or `client_ref` that is not allowed."""
        _check(grant)
        key_id, key = await self._key()
        issued = int(self._clock())
        claims = Claims(
            id=secrets.token_hex(8),
            key_id=grant.key_id,
            project_id=grant.project_id,
            product=grant.product,
            region=self._region,
            client_ref=grant.client_ref if grant.product is Product.BATCH else None,  # ignored for rt (§13.3)
            issued=issued,
            expires=issued + grant.ttl,
            since=grant.since,
        )
        return jwt.encode(_payload(claims), key, algorithm=ALGORITHM, headers={"kid": key_id}), claims

    async def _key(self) -> tuple[str, Ed25519PrivateKey]:
        """Return the current signing key. Reads the database on each call, because an operator may retire a key at any time."""
        found = await self._control.read(lambda connection: _current(connection, self._region))
        if found is not None and self._opened is not None and found[0] == self._opened[0]:
            return self._opened
        self._opened = self._decrypted(*found) if found else None
        if self._opened is None:
            self._opened = await self._control.write(
                lambda connection: renew(connection, self._encryptor, self._region)
            )
        return self._opened

    def _decrypted(self, key_id: str, encrypted: bytes) -> tuple[str, Ed25519PrivateKey] | None:
        try:
            return key_id, Ed25519PrivateKey.from_private_bytes(self._encryptor.decrypt(encrypted))
        except ValueError:
            _log.warning("signing key cannot be decrypted, a new one is created", extra={"signing_key": key_id})
            return None


def _check(grant: TokenRequest) -> None:
    if grant.ttl < MIN_TTL:
        raise Refused(Kind.INVALID_QUERY, f"ttl in body should be greater than or equal to {MIN_TTL}")
    if grant.ttl > MAX_TTL:
        raise Refused(Kind.INVALID_QUERY, f"ttl in body should be less than or equal to {MAX_TTL}")
    if grant.client_ref is not None:
        checked(grant.client_ref, at="client_ref in body", most=MAX_CLIENT_REF)


def _payload(claims: Claims) -> dict[str, Any]:
    payload = {
        "iss": ISSUER,
        "iat": claims.issued,
        "exp": claims.expires,
        "jti": claims.id,
        "type": str(claims.product),
        "region": claims.region,
        "key": claims.key_id,
        "project": claims.project_id,
    }
    optional = {"client_ref": claims.client_ref, "auth_time": claims.since}
    return payload | {name: value for name, value in optional.items() if value is not None}


# ── signing keys ──


def witness(connection: sa.Connection, key_id: str) -> VerificationKey | None:
    """Return the public half of the signing key *key_id*; `None` if every token that it signed has expired."""
    columns = (t.signing_keys.c.id, t.signing_keys.c.region, t.signing_keys.c.public_key)
    good = sa.or_(t.signing_keys.c.retired_at.is_(None), t.signing_keys.c.retired_at > now_ms() - _lasting_ms())
    row = connection.execute(sa.select(*columns).where(t.signing_keys.c.id == key_id, good)).first()
    if row is None:
        return None
    return VerificationKey(id=row.id, region=row.region, public_key=Ed25519PublicKey.from_public_bytes(row.public_key))


def _lasting_ms() -> int:
    """Return the ms after a key's retirement during which a token that it signed may still be valid."""
    return (MAX_TTL + 2 * SKEW) * 1000


def _current(connection: sa.Connection, region: str) -> tuple[str, bytes] | None:
    mine = (t.signing_keys.c.region == region, t.signing_keys.c.retired_at.is_(None))
    newest = sa.select(t.signing_keys.c.id, t.signing_keys.c.private_key).where(*mine)
    row = connection.execute(newest.order_by(t.signing_keys.c.created_at.desc(), t.signing_keys.c.id).limit(1)).first()
    return (row.id, row.private_key) if row else None


def opens(connection: sa.Connection, encryptor: Encryptor, region: str) -> bool:
    """True if *region* has no signing key, or its signing key is encrypted with the newest key of *encryptor*."""
    found = _current(connection, region)
    return found is None or encryptor.is_newest(found[1])


def renew(connection: sa.Connection, encryptor: Encryptor, region: str) -> tuple[str, Ed25519PrivateKey]:
    """Create a signing key for *region*, and return its id and private half.

    The private half of the previous key is removed; tokens that it signed stay valid until they expire.
    """
    mine = t.signing_keys.c.region == region
    old = sa.update(t.signing_keys).where(mine, t.signing_keys.c.retired_at.is_(None))
    connection.execute(old.values(retired_at=now_ms(), private_key=None))
    connection.execute(sa.delete(t.signing_keys).where(t.signing_keys.c.retired_at < now_ms() - _lasting_ms()))
    key_id, key = secrets.token_hex(8), Ed25519PrivateKey.generate()
    connection.execute(
        sa.insert(t.signing_keys).values(
            id=key_id,
            region=region,
            public_key=key.public_key().public_bytes_raw(),
            private_key=encryptor.encrypt(key.private_bytes_raw()),
            created_at=now_ms(),
        )
    )
    return key_id, key


def forget(connection: sa.Connection, region: str) -> int:
    """Revoke every temporary key of *region* by removing its signing keys. Returns the number of removed signing keys."""
    return connection.execute(sa.delete(t.signing_keys).where(t.signing_keys.c.region == region)).rowcount
