"""The SMTP client: builds messages and sends them to the operator's mail server. The outbox stores and retries them."""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path

from sottovoce.wire.email_address import mail_address

MAX_ATTACHED = 10 << 20
"""Bytes of all attachments of one mail: most mail servers accept 25 MB, and base64 adds a third."""
TIMEOUT = 30.0
"""Seconds for each answer of the mail server."""
NOT_CONFIGURED = "not configured"
"""The outcome of a mail when no mail server is configured."""
NO_ADDRESS = "no e-mail address: set that of the user with `sottovoce users email`, for later jobs"
"""The outcome of a mail to a user without an address."""

_PERMANENT = 500
"""SMTP status from which a failure is permanent (RFC 5321 §4.2.1)."""


class Security(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"  # before login and mail; a server without it is rejected
    TLS = "tls"  # from the first byte
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """The operator's mail server. *sender*: the From address. *ca_file* is trusted in addition to the system's authorities."""

    host: str
    port: int
    sender: str
    security: Security = Security.STARTTLS
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        """Raise ValueError for settings that would fail with the first mail, or send the password unencrypted."""
        mail_address(self.sender)
        if self.password is not None and self.security is Security.NONE:
            raise ValueError("a password is only sent over TLS: set smtp_security to starttls or tls")
        if (self.user is None) is not (self.password is None):
            raise ValueError("smtp_login and smtp_password must be set together")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message. *attachments*: outputs of the job, by their names in `contents`; they are read when the mail is sent."""

    to: str
    subject: str
    body: str
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file attached to a mail."""

    filename: str
    content_type: str
    content: bytes


class MailFailed(Exception):
    """The mail server did not accept the mail. *text* contains no personal data; *final*: retrying cannot succeed."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.final = final


def message(
    mail: Mail, sender: str, delivery_id: str, at: float, attachments: Sequence[Attachment] = ()
) -> EmailMessage:
    """Build the message for *mail*. Its `Message-ID` is the same for every attempt, so that receivers can detect duplicates.

    *at* is in epoch seconds. Attachments beyond `MAX_ATTACHED` are left out, with a note in the text. Raises ValueError.
    """
    made = EmailMessage(policy=SMTP)
    made["From"] = mail_address(sender)
    made["To"] = mail_address(mail.to)
    made["Subject"] = " ".join(mail.subject.split())
    made["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    made["Message-ID"] = f"<{delivery_id}@{mail_address(sender).domain}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: prevents automatic replies
    left, fitting, notes = MAX_ATTACHED, [], []
    for each in attachments:
        if len(each.content) > left:
            notes.append(f"{each.filename} is too large for a mail and was left out.")
        else:
            left -= len(each.content)
            fitting.append(each)
    made.set_content("\n\n".join([mail.body, *notes]))
    for each in fitting:
        main, _, rest = each.content_type.partition(";")[0].partition("/")
        made.add_attachment(each.content, maintype=main, subtype=rest, filename=each.filename)
    return made


def send(smtp: Smtp, made: EmailMessage) -> None:
    """Send *made* to the mail server. Blocks, for at most `smtp.timeout` seconds at each step. Raises `MailFailed`."""
    with _failing(), _connected(smtp) as server:
        _log_in(smtp, server)
        server.send_message(made)


def greet(smtp: Smtp) -> None:
    """Connect and log in without sending a mail. Blocks. Raises `MailFailed`."""
    with _failing(), _connected(smtp) as server:
        _log_in(smtp, server)
        server.noop()


def _log_in(smtp: Smtp, server: smtplib.SMTP) -> None:
    if smtp.user is not None and smtp.password is not None:
        server.login(smtp.user, smtp.password)


@contextlib.contextmanager
def _connected(smtp: Smtp) -> Iterator[smtplib.SMTP]:
    name = mail_address(smtp.sender).domain  # the EHLO name: the library's default needs a DNS lookup
    if smtp.security is Security.TLS:
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            smtp.host, smtp.port, local_hostname=name, timeout=smtp.timeout, context=_trusting(smtp.ca_file)
        )
    else:
        server = smtplib.SMTP(smtp.host, smtp.port, local_hostname=name, timeout=smtp.timeout)
    try:
        if smtp.security is Security.STARTTLS:
            server.starttls(context=_trusting(smtp.ca_file))
        yield server
        with contextlib.suppress(smtplib.SMTPException, OSError):  # the server has accepted the mail already
            server.quit()
    finally:
        server.close()


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """Raise `MailFailed` for errors of the mail server, without its own words: they may contain personal data."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise MailFailed(f"the mail server refused the user (status {error.smtp_code})") from error
    except smtplib.SMTPRecipientsRefused as error:
        code = max((status for status, _ in error.recipients.values()), default=0)
        raise MailFailed(f"the mail server refused the recipient (status {code})", final=code >= _PERMANENT) from error
    except smtplib.SMTPResponseException as error:
        code = error.smtp_code
        raise MailFailed(f"the mail server answered with status {code}", final=code >= _PERMANENT) from error
    except smtplib.SMTPNotSupportedError as error:
        raise MailFailed("the mail server does not support STARTTLS, login or SMTPUTF8") from error
    except ssl.SSLCertVerificationError as error:
        raise MailFailed(f"the mail server's certificate cannot be trusted: {error.verify_message}") from error
    except (smtplib.SMTPException, OSError) as error:
        # the library reports some timeouts as a lost connection
        late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
        why = "the mail server did not answer in time" if late else "the connection to the mail server failed"
        raise MailFailed(why) from error
