import base64
import hashlib
import hmac
import re
import time
from pathlib import Path
from typing import Any

import pytest

from sottovoce.wire.notifications.signatures import Signing, secret_key


def test_the_published_example_of_the_format():
    """The example that Standard Webhooks' own libraries are tested with."""
    signing = Signing(
        secret_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330
    )
    signing.update(b'{"test": ')
    signing.update(b"2432232314}")
    assert signing.headers() == {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_any_body_can_be_signed():
    key = secret_key("whsec_" + base64.b64encode(b"k" * 32).decode())
    signing = Signing(key, "d", 7)
    signing.update(b"\xff\x00")
    expected = base64.b64encode(hmac.new(b"k" * 32, b"d.7.\xff\x00", hashlib.sha256).digest()).decode()
    assert signing.headers()["Webhook-Signature"] == f"v1,{expected}"


def test_the_program_of_the_manual_verifies_and_refuses():
    page = (Path(__file__).parents[4] / "docs" / "notifications.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {}
    exec(program, found)  # noqa: S102 - our own manual
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()

    def signed(at: int, body: bytes) -> dict[str, str]:
        signing = Signing(secret_key(secret), "d", at)
        signing.update(body)
        return {name.lower(): value for name, value in signing.headers().items()}

    now = int(time.time())
    assert found["verify"](secret, signed(now, b"body"), b"body")
    assert not found["verify"](secret, signed(now, b"body"), b"another")
    assert not found["verify"](secret, signed(now - 3600, b"body"), b"body")
    assert not found["verify"](secret.replace("a", "b"), signed(now, b"body"), b"body")


@pytest.mark.parametrize(
    "text", ["", "plain", "whsec_", "whsec_AAAA", "whsec_?" * 8, "WHSEC_" + "A" * 40, "whsec_ü" + "A" * 40]
)
def test_weak_and_malformed_secrets_are_refused_without_being_repeated(text):
    with pytest.raises(ValueError, match="must be whsec_") as refused:
        secret_key(text)
    assert text in {"", "whsec_"} or text not in str(refused.value)
