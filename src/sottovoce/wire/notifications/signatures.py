"""Signatures of notifications, which the contract does not have. They follow Standard Webhooks, whose libraries verify them.

The signature is HMAC-SHA256 over `<delivery id>.<epoch seconds>.<body>`, written as `v1,<base64>`.
"""

import base64
import hashlib
import hmac

ID = "Webhook-Id"
TIMESTAMP = "Webhook-Timestamp"
SIGNATURE = "Webhook-Signature"

_PREFIX = "whsec_"
MIN_KEY = 24
"""The minimum length of a secret in bytes."""


def secret_key(text: str) -> bytes:
    """The bytes of the key in a secret `whsec_<base64>`. Raises `ValueError` that does not repeat the secret."""
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:  # not base64, or not even ASCII
        key = b""
    if not text.startswith(_PREFIX) or len(key) < MIN_KEY:
        raise ValueError(f"must be {_PREFIX} and the base64 of at least {MIN_KEY} random bytes")
    return key


class Signing:
    """Computes one signature while the body is sent chunk by chunk."""

    def __init__(self, key: bytes, delivery_id: str, at: int) -> None:
        self._delivery_id = delivery_id
        self._at = at
        self._mac = hmac.new(key, f"{delivery_id}.{at}.".encode(), hashlib.sha256)

    def update(self, piece: bytes) -> None:
        """Add the next chunk of the body."""
        self._mac.update(piece)

    def headers(self) -> dict[str, str]:
        """The three headers of the signature; call it after the last chunk."""
        signature = base64.b64encode(self._mac.digest()).decode()
        return {ID: self._delivery_id, TIMESTAMP: str(self._at), SIGNATURE: f"v1,{signature}"}
