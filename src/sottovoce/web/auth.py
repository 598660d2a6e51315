"""Who is calling: the bearer key of a request, looked up in the keyring."""

from starlette.requests import HTTPConnection

from sottovoce.errors import Kind, Refused
from sottovoce.service.accounts import Caller
from sottovoce.service.keyring import ControlAway, Keyring

MAX_SECRET = 4096


async def authenticate(connection: HTTPConnection, keyring: Keyring) -> Caller:
    """The caller of *connection*. Raises `Refused(UNAUTHENTICATED)` without a key that works."""
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > MAX_SECRET:
        raise Refused(Kind.UNAUTHENTICATED, "send the API key as `Authorization: Bearer <key>`")
    try:
        caller = await keyring.caller(secret)
    except ControlAway as away:
        raise Refused(Kind.UNAVAILABLE, "keys cannot be checked at the moment; try again") from away
    if caller is None:
        raise Refused(Kind.UNAUTHENTICATED, "this API key is not known here")
    return caller
