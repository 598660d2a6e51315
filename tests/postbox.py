"""A mail server on a thread for tests: it keeps accepted mails, and answers as configured."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd import smtp as smtpd
from aiosmtpd.smtp import AuthResult, Envelope, Session

from tests.servers import PATIENCE

HERE = "127.0.0.1"


@dataclass
class Inbox:
    """The accepted mails, and the server's configured answers."""

    answer: str = "250 OK"
    rcpt: str = "250 OK"
    letters: list[EmailMessage] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: smtpd.SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: smtpd.SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.letters.append(message_from_bytes(content, policy=policy.default))
            assert server.transport is not None
            self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return self.answer

    def authenticated(
        self, server: smtpd.SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any
    ) -> AuthResult:
        self.users.append(data.login)
        return AuthResult(success=(data.login, data.password) == (b"user", b"hush"), handled=False)

    def to(self, address: str) -> list[EmailMessage]:
        """The letters for *address*, oldest first."""
        return [letter for letter in self.letters if letter["To"] == address]


@contextmanager
def postbox(inbox: Inbox, **options: Any) -> Iterator[int]:
    """Run a server on an event loop of its own, and yield its port: the threads that send mail block."""
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    ports: list[int] = []
    context = options.pop("ssl_context", None)

    def connection() -> smtpd.SMTP:
        return smtpd.SMTP(inbox, hostname="mail.test", authenticator=inbox.authenticated, loop=loop, **options)

    async def live() -> None:
        server = await loop.create_server(connection, HERE, 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(live())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
