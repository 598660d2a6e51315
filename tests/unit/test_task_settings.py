"""What the operator says about the world outside, and what becomes of it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sottovoce.bootstrap import engines, task_settings
from sottovoce.service.email.smtp import Security
from sottovoce.service.notifications.model import Kind
from sottovoce.settings import load

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
SMTP = {"smtp_host": "mail.example", "smtp_sender": "a@example.org"}


def test_the_defaults_are_the_contracts_times_and_reach_nobody_private() -> None:
    plan = task_settings(load())
    assert (plan.send.timeout, plan.send.pauses) == (10.0, (15.0, 20.0, 30.0))
    assert plan.fetch.pauses == (2.0, 10.0, 20.0)
    assert plan.send.tries == {Kind.NOTIFICATION: 4, Kind.CALLBACK: 3, Kind.MAIL: 5}
    assert (plan.send.signing, plan.send.smtp) == (None, None)
    assert not plan.outbound.allow_private
    assert plan.outbound.networks == ()


def test_times_and_limits_are_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_NOTIFICATION_PAUSES", "1, 2.5")
    monkeypatch.setenv("SOTTOVOCE_FETCH_PAUSES", "")
    monkeypatch.setenv("SOTTOVOCE_OUTBOUND_ALLOW", "10.0.0.0/8, hooks.lan")
    monkeypatch.setenv("SOTTOVOCE_MAX_UPLOAD_BYTES", "1000")
    plan = task_settings(load())
    assert plan.send.pauses == (1.0, 2.5)
    assert (plan.fetch.pauses, plan.fetch.tries) == ((), 1)
    assert plan.outbound.hosts == {"hooks.lan"}
    assert plan.fetch.media_bytes == 1000


def test_a_mail_server_is_used_as_it_was_described() -> None:
    smtp = task_settings(
        load(**SMTP, smtp_port=465, smtp_security="tls", smtp_login="u", smtp_password="hush")
    ).send.smtp
    assert smtp is not None
    assert (smtp.host, smtp.port, smtp.security, smtp.user, smtp.password) == (
        "mail.example",
        465,
        Security.TLS,
        "u",
        "hush",
    )


def test_secrets_are_opened_for_use_and_never_shown() -> None:
    settings = load(
        **SMTP, notification_secret=SECRET, smtp_login="u", smtp_password="hush-1", outbound_proxy="http://u:hush-2@p:1"
    )
    assert task_settings(settings).send.signing == b"k" * 32
    shown = json.dumps(settings.redacted()) + repr(settings)
    assert not any(word in shown for word in (SECRET, "hush"))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"notification_secret": "hush"}, "SOTTOVOCE_NOTIFICATION_SECRET"),
        ({"smtp_host": "mail.example"}, "SOTTOVOCE_SMTP_SENDER"),
        ({**SMTP, "smtp_security": "none", "smtp_login": "u", "smtp_password": "hush"}, "SOTTOVOCE_SMTP"),
        ({"outbound_allow": "not a name"}, "SOTTOVOCE_OUTBOUND"),
        ({"outbound_proxy": "ftp://hush"}, "SOTTOVOCE_OUTBOUND"),
    ],
)
def test_what_could_never_work_is_named_and_not_repeated(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        task_settings(load(**wrong))
    assert "hush" not in str(refused.value)


def test_a_language_model_gets_nothing_unless_address_model_and_stage_are_named(tmp_path: Path) -> None:
    assert engines(load())[0].chat is None
    both = {"chat_url": "http://127.0.0.1:1/v1", "chat_model": "m"}
    (tmp_path / "key").write_text("secret")
    config = engines(load(**both, chat_key_file=tmp_path / "key", stages=("summary=chat",)))[0]
    assert config.chat is not None
    assert (config.chat.url, config.backend("summary"), config.backend("topics")) == (
        both["chat_url"],
        "chat",
        "builtin",
    )
    assert "secret" not in repr(config)
    for wrong in ({"stages": ("summary=chat",)}, {"chat_model": "m"}, {"chat_url": both["chat_url"]}):
        with pytest.raises(ValueError, match="both SOTTOVOCE_CHAT_URL and SOTTOVOCE_CHAT_MODEL"):
            engines(load(**wrong))
    with pytest.raises(ValueError, match="the file of the key is missing"):
        engines(load(**both, chat_key_file=tmp_path / "none"))
