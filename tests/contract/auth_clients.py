"""`createSpeechmaticsJWT` of npm `@speechmatics/auth` 0.1.0, by what it sends and by how it reads (contract `clients.md` §8)."""

import json
from typing import Any
from urllib.parse import urlsplit

from tests.contract.other_clients import Connection, request


class Unauthorized(Exception):
    """The answer was 403."""


class ValidationFailed(Exception):
    """The answer was 422; the message is its `message`."""


class Unknown(Exception):
    """Any other answer that is no success."""


def create_jwt(
    base: str, key: str, *, kind: str, ttl: Any = 60, client_ref: str | None = None, region: str = "eu"
) -> str:
    """The temporary key. *base* is `managementPlatformURL`, which ends in `/v1`."""
    if kind == "batch" and not client_ref:
        raise ValueError("the client itself wants a clientRef for batch")
    # members that are undefined are left out by JSON.stringify
    wanted = {"ttl": ttl, "region": region} | ({} if client_ref is None else {"client_ref": client_ref})
    body = json.dumps(wanted, separators=(",", ":")).encode()
    where = urlsplit(base)
    with Connection(base) as connection:
        headers = [
            ("host", connection.host), ("connection", "keep-alive"), ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {key}"), ("accept", "*/*"), ("accept-language", "*"), ("sec-fetch-mode", "cors"),
            ("user-agent", "node"), ("accept-encoding", "gzip, deflate"), ("content-length", str(len(body))),
        ]  # fmt: skip
        connection.send(request("POST", f"{where.path}/api_keys?type={kind}", headers, body))
        answer = connection.answer("POST")
    told = json.loads(answer.body)  # always: whatever is no JSON is a fault
    if answer.ok:
        return str(told["key_value"])
    if answer.status == 403:
        raise Unauthorized
    if answer.status == 422:
        assert isinstance(told["code"], int)
        raise ValidationFailed(told["message"])
    raise Unknown(answer.status)
