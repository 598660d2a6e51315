"""HTTP by hand: what a well-behaved client library would never send."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

BOUNDARY = "a-line-between-parts"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
PATIENCE = 60.0

Header = tuple[str, str | bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. *headers* by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a multipart body; *head* replaces all of its header lines."""

    name: str = ""
    body: bytes = b""
    filename: str | None = None
    kind: str | None = None
    head: bytes | None = None

    def lines(self) -> bytes:
        """Its header lines and its body."""
        if self.head is not None:
            return self.head + b"\r\n" + self.body
        shown = f'form-data; name="{self.name}"' + (
            f'; filename="{self.filename}"' if self.filename is not None else ""
        )
        kind = f"Content-Type: {self.kind}\r\n" if self.kind else ""
        return f"Content-Disposition: {shown}\r\n{kind}\r\n".encode() + self.body


def multipart(parts: Iterable[Part], *, boundary: str = BOUNDARY, end: bytes = b"--\r\n") -> bytes:
    """*parts* as one body; *end* follows the last boundary."""
    line = f"--{boundary}".encode()
    return b"".join(line + b"\r\n" + part.lines() + b"\r\n" for part in parts) + line + end


def config_part(config: object) -> Part:
    """The config part, as bytes or as what is to become JSON."""
    return Part(name="config", body=config if isinstance(config, bytes) else json.dumps(config).encode())


def media_part(media: bytes, filename: str = "speech.wav") -> Part:
    """The media part."""
    return Part(name="data_file", body=media, filename=filename, kind="audio/wav")


def head(method: str, target: str | bytes, headers: Sequence[Header], version: str = "HTTP/1.1") -> bytes:
    """The request line and the header lines, as they are given."""
    shown = target if isinstance(target, bytes) else target.encode("latin-1")
    lines = [method.encode() + b" " + shown + b" " + version.encode()]
    for name, value in headers:
        lines.append(name.encode("latin-1") + b": " + (value if isinstance(value, bytes) else value.encode("latin-1")))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def exchange(url: str, sent: bytes, *, method: str = "GET", hang_up: bool = False) -> Answer | None:
    """Send *sent* as it is and read one answer; `None` when the other side closed without any.

    With *hang_up* our side says that nothing more will come, as a client does that dies.
    """
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), PATIENCE) as connection:
        with contextlib.suppress(ConnectionError):  # refused in mid-body: the answer is there to read all the same
            connection.sendall(sent)
        if hang_up:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        return _read(connection, method)


def _read(connection: socket.socket, method: str) -> Answer | None:
    answer = http.client.HTTPResponse(connection, method=method)
    try:
        answer.begin()
        body = answer.read()
    except (http.client.RemoteDisconnected, ConnectionError):
        return None
    headers = {name.lower(): value for name, value in answer.getheaders()}
    answer.close()
    return Answer(status=answer.status, headers=headers, body=body)
