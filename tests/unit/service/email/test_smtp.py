"""Mail to a real SMTP server on loopback."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sottovoce.outbound import Outbound
from sottovoce.service.email import smtp as mail
from sottovoce.service.email.smtp import Attachment, Mail, MailFailed, Security, Smtp
from sottovoce.service.notifications.model import State
from sottovoce.service.notifications.send_policy import SendPolicy
from tests.postbox import HERE, Inbox, postbox
from tests.unit.service.task_values import Region, going_out, region_in

LETTER = Mail(to="ada@example.org", subject="Transcript ready", body="Your job is done.\nBye.")
SENDER = "sottovoce@example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a mail server of the tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HERE))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


@pytest.fixture
def serve(authority: tuple[Path, Path]) -> Callable[..., Any]:
    """A way to a server: give its security and its inbox, get what reaches it."""

    @contextmanager
    def served(inbox: Inbox, security: Security = Security.STARTTLS, **options: Any) -> Iterator[Smtp]:
        certificate, private = authority
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, private)
        if security is Security.STARTTLS:
            options |= {"tls_context": context, "require_starttls": True}
        elif security is Security.TLS:
            options |= {"ssl_context": context, "auth_require_tls": False}  # it knows of STARTTLS only
        with postbox(inbox, **options) as port:
            yield Smtp(host=HERE, port=port, sender=SENDER, security=security, ca_file=certificate, timeout=10.0)

    return served


def post(smtp: Smtp, letter: Mail = LETTER, *attached: Attachment) -> None:
    mail.send(smtp, mail.message(letter, smtp.sender, "d123", 1_700_000_000.0, attached))


def lines(letter: EmailMessage) -> list[str]:
    """The text of a mail; line ends are the wire's."""
    body = letter.get_body()
    assert body is not None
    return str(body.get_content()).splitlines()


# ── taken ──


@pytest.mark.parametrize("security", list(Security))
def test_a_mail_arrives_whichever_way_it_is_protected(serve: Callable[..., Any], security: Security) -> None:
    inbox = Inbox()
    with serve(inbox, security) as smtp:
        post(smtp)
    (letter,) = inbox.letters
    assert letter["to"] == "ada@example.org"
    assert letter["from"] == SENDER
    assert letter["subject"] == "Transcript ready"
    assert letter["message-id"] == "<d123@example.com>"
    assert letter["auto-submitted"] == "auto-generated"
    assert letter["date"].startswith("Tue, 14 Nov 2023 22:13:20")
    assert lines(letter) == ["Your job is done.", "Bye."]
    assert inbox.encrypted == [security is not Security.NONE]


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_user_and_password_are_given_inside_tls(serve: Callable[..., Any], security: Security) -> None:
    inbox = Inbox()
    with serve(inbox, security) as smtp:
        post(replace(smtp, user="user", password="hush"))
        with pytest.raises(MailFailed, match=r"refused the user \(status 535\)") as failed:
            post(replace(smtp, user="user", password="wrong"))
    assert not failed.value.final, "the operator may put it right"
    assert len(inbox.letters) == 1
    assert set(inbox.users) == {b"user"}


def test_words_of_any_language_and_files_survive(serve: Callable[..., Any]) -> None:
    inbox = Inbox()
    letter = Mail(to="ada@example.org", subject="Übertragung 転写", body="Grüße, 你好")
    files = (
        Attachment(filename="ü.txt", content_type="text/plain; charset=utf-8", content="hello wörld".encode()),
        Attachment(filename="a.wav", content_type="audio/wav", content=bytes(range(256))),
    )
    with serve(inbox) as smtp:
        post(smtp, letter, *files)
    (arrived,) = inbox.letters
    assert arrived["subject"] == letter.subject
    assert lines(arrived) == ["Grüße, 你好"]
    assert [(part.get_filename(), part.get_payload(decode=True)) for part in arrived.iter_attachments()] == [
        ("ü.txt", "hello wörld".encode()),
        ("a.wav", bytes(range(256))),
    ]


def test_what_is_too_large_is_left_out_and_named() -> None:
    big = Attachment(filename="big.txt", content_type="text/plain", content=bytes(mail.MAX_ATTACHED + 1))
    small = Attachment(filename="small.txt", content_type="text/plain", content=b"x")
    made = mail.message(LETTER, SENDER, "d", 0.0, [big, small])
    body = made.get_body()
    assert body is not None
    assert "big.txt is too large for a mail and was left out." in body.get_content()
    assert [part.get_filename() for part in made.iter_attachments()] == ["small.txt"]


# ── not taken ──


@pytest.mark.parametrize(
    ("inbox", "text", "final"),
    [
        (Inbox(answer="451 later"), "the mail server answered with status 451", False),
        (Inbox(answer="552 hush: too much"), "the mail server answered with status 552", True),
        (Inbox(rcpt="450 ada@example.org is busy"), "the mail server refused the recipient (status 450)", False),
        (Inbox(rcpt="550 ada@example.org is unknown"), "the mail server refused the recipient (status 550)", True),
    ],
)
def test_a_refusal_is_final_or_not_and_repeats_nothing_of_what_was_said(
    serve: Callable[..., Any], inbox: Inbox, text: str, final: bool
) -> None:
    with serve(inbox) as smtp, pytest.raises(MailFailed) as failed:
        post(smtp)
    assert (failed.value.text, failed.value.final) == (text, final)


def test_a_server_without_starttls_is_told_nothing(serve: Callable[..., Any]) -> None:
    inbox = Inbox()
    with serve(inbox, Security.NONE) as smtp, pytest.raises(MailFailed, match="does not support"):
        post(replace(smtp, security=Security.STARTTLS, user="user", password="hush"))
    assert (inbox.letters, inbox.users) == ([], [])


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_a_certificate_that_nobody_vouches_for_ends_it(serve: Callable[..., Any], security: Security) -> None:
    inbox = Inbox()
    with serve(inbox, security) as smtp, pytest.raises(MailFailed, match="certificate cannot be trusted"):
        post(replace(smtp, ca_file=None))
    assert inbox.letters == []


def test_nobody_there_is_tried_again() -> None:
    with pytest.raises(MailFailed, match="the connection to the mail server failed") as failed:
        post(Smtp(host=HERE, port=1, sender=SENDER, security=Security.NONE))
    assert not failed.value.final


def test_a_silent_server_is_not_waited_for() -> None:
    with socket.create_server((HERE, 0)) as silent:
        smtp = Smtp(host=HERE, port=silent.getsockname()[1], sender=SENDER, security=Security.NONE, timeout=0.3)
        with pytest.raises(MailFailed, match="did not answer in time"):
            post(smtp)


@pytest.mark.parametrize(
    "to",
    ["", "ada", "@example.org", "ada@", "ada@example.org\r\nBcc: all@example.org", "a@b.org, c@d.org", "Ada <a@b.org>"],
)
def test_what_is_no_single_address_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="not a mail address"):
        mail.message(replace(LETTER, to=to), SENDER, "d", 0.0)


def test_a_subject_cannot_become_a_header() -> None:
    made = mail.message(replace(LETTER, subject="a\r\nBcc: all@example.org"), SENDER, "d", 0.0)
    assert made["subject"] == "a Bcc: all@example.org"
    assert made["bcc"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": "nobody"},
        {"security": Security.NONE, "user": "u", "password": "p"},
        {"user": "u"},
        {"password": "p"},
    ],
)
def test_settings_that_could_never_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Smtp(**{"host": HERE, "port": 25, "sender": SENDER, **wrong})


def test_a_password_is_not_shown() -> None:
    assert "hush" not in repr(Smtp(host=HERE, port=25, sender=SENDER, user="u", password="hush"))


# ── as a delivery ──


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        yield made


def test_a_delivery_is_attempted_until_the_server_takes_it_under_one_message_id(
    serve: Callable[..., Any], region: Region
) -> None:
    inbox = Inbox(answer="451 later")

    async def go(outbound: Outbound) -> None:
        with serve(inbox) as smtp:
            await region.accept_media()
            letter = replace(LETTER, attachments=("transcript.txt", "transcript", "data", "text"))
            (posted,) = await region.end(envelopes=[region.outbox().mailed(letter)])
            region.queue.sent.clear()
            sender = region.sender(outbound, SendPolicy(smtp=smtp))
            await sender.attempt(posted.id, 1)
            assert region.queue.sent == [("delivery", posted.id, 2, 60.0)]
            inbox.answer = "250 OK"
            await sender.attempt(posted.id, 2)
        (told,) = region.told()
        assert (told.state, told.attempts, told.outcome) == (State.DELIVERED, 2, "accepted by the mail server")
        (arrived,) = inbox.letters
        assert arrived["message-id"] == f"<{posted.id}@example.com>"
        files = [
            (part.get_filename(), bytes(part.get_payload(decode=True))[:12]) for part in arrived.iter_attachments()
        ]
        assert files == [
            ("job0000001.txt", b"hello world."),
            ("job0000001.json", b'{"format":"2'),
            ("talk.wav", b"RIFF" + bytes(range(8))),
        ]

    going_out(go)
    assert region.errors() == [], "the errors of a job are about notifications"
    assert region.counted("deliveries", kind="mail", outcome="delivered") == 1


def test_a_recipient_that_does_not_exist_is_given_up_at_once(serve: Callable[..., Any], region: Region) -> None:
    async def go(outbound: Outbound) -> None:
        with serve(Inbox(rcpt="550 no such user")) as smtp:
            await region.accept_media()
            (posted,) = await region.end(envelopes=[region.outbox().mailed(LETTER)])
            await region.sender(outbound, SendPolicy(smtp=smtp)).attempt(posted.id, 1)
        (told,) = region.told()
        assert (told.state, told.outcome) == (State.FAILED, "the mail server refused the recipient (status 550)")

    going_out(go)


def test_a_greeting_logs_in_and_sends_nothing(serve: Callable[..., Any]) -> None:
    inbox = Inbox()
    with serve(inbox, auth_require_tls=True) as smtp:
        mail.greet(replace(smtp, user="user", password="hush"))
        with pytest.raises(MailFailed, match="refused the user"):
            mail.greet(replace(smtp, user="user", password="wrong"))
    assert (inbox.letters, set(inbox.users)) == ([], {b"user"})
