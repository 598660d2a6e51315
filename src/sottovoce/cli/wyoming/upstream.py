"""The server behind the adapter: one realtime session for each transcription, and the languages that it offers."""

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

CONNECT = 10.0
"""Seconds for the connection to the server, and for RecognitionStarted."""
CLOSING = 60.0
"""Seconds from the end of the audio to the end of the transcript."""
FRESH = 60.0
"""Seconds for which the languages of the server are remembered."""
MAX_MESSAGE = 1 << 20
"""Bytes of one message of the server, and of its list of languages."""
_ISO = {"cmn": "zh"}


class UpstreamFailed(Exception):
    """The server cannot be reached, or refuses the session. *code* is a word for the client."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server at *url* (`ws://host:port` or `wss://…`), with the API key *key*."""

    url: str
    key: str

    @property
    def socket(self) -> str:
        """The address of the realtime API."""
        return self.url.rstrip("/") + ("" if urlsplit(self.url).path.strip("/") else "/v2")

    @property
    def features(self) -> str:
        """The address of the list of features."""
        parts = urlsplit(self.url)
        scheme = "https" if parts.scheme == "wss" else "http"
        return urlunsplit((scheme, parts.netloc, "/v1/discovery/features", "", ""))


class Session:
    """A realtime session that has begun: audio in, finals out."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._sent = 0

    async def send(self, audio: bytes) -> None:
        """Send samples; waits while the server reads slowly."""
        self._sent += 1
        await self._socket.send(audio)

    async def end(self) -> None:
        """Say that no more audio comes."""
        await self._socket.send(json.dumps({"message": "EndOfStream", "last_seq_no": self._sent}))

    async def finals(self) -> AsyncIterator[str]:
        """Yield the text of each final, until the transcript is complete. Raises `UpstreamFailed`."""
        try:
            async for text in self._socket:
                message = json.loads(text)
                match message.get("message"):
                    case "AddTranscript":
                        yield str(message["metadata"]["transcript"])
                    case "EndOfTranscript":
                        return
                    case "Error":
                        raise _refused(message)
        except WebSocketException as error:
            raise UpstreamFailed(f"the connection to the server failed: {error}", "server-error") from error
        raise UpstreamFailed("the server closed the session before its end", "server-error")


@asynccontextmanager
async def session(server: Server, start: dict[str, Any]) -> AsyncIterator[Session]:
    """Open a session with the first message *start*. Raises `UpstreamFailed`."""
    try:
        async with asyncio.timeout(CONNECT):
            socket = await connect(
                server.socket,
                additional_headers={"Authorization": f"Bearer {server.key}"},
                compression=None,
                max_size=MAX_MESSAGE,
                proxy=None,
            )
    except InvalidStatus as error:
        raise _not_opened(error.response.status_code) from error
    except (OSError, WebSocketException) as error:  # a timeout is an OSError
        raise UpstreamFailed(f"the server at {server.url} cannot be reached: {_text(error)}", "unreachable") from error
    try:
        await _begin(socket, start)
        yield Session(socket)
    finally:
        await socket.close()


async def _begin(socket: ClientConnection, start: dict[str, Any]) -> None:
    try:
        await socket.send(json.dumps(start))
        async with asyncio.timeout(CONNECT):
            while True:
                message = json.loads(await socket.recv())
                if message.get("message") == "Error":
                    raise _refused(message)
                if message.get("message") == "RecognitionStarted":
                    return
    except (OSError, WebSocketException) as error:
        raise UpstreamFailed(f"the server did not begin the session: {_text(error)}", "server-error") from error


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _refused(message: dict[str, Any]) -> UpstreamFailed:
    return UpstreamFailed(str(message.get("reason", "the server ended the session")), str(message.get("type", "error")))


def _not_opened(status: int) -> UpstreamFailed:
    texts = {
        401: ("the server does not know the API key: give it another --key", "not-authorised"),
        403: ("the API key may not open realtime sessions: give it another --key", "not-authorised"),
        404: ("the server has no realtime API: start it with the role realtime", "unreachable"),
        503: ("the server has no room for another session; try again", "busy"),
    }
    return UpstreamFailed(*texts.get(status, (f"the server answered with status {status}", "server-error")))


class Languages:
    """The languages of the server's realtime API as ISO 639 codes, remembered for `FRESH` seconds."""

    def __init__(self, server: Server, default: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._known: tuple[str, ...] = (_ISO.get(default, default),)
        self._until = -1.0

    async def known(self) -> tuple[str, ...]:
        """The languages; those of the last answer, or the default one, while the server does not answer."""
        if self._clock() >= self._until:
            self._until = self._clock() + FRESH
            try:
                self._known = await asyncio.to_thread(self._asked) or self._known
            except (OSError, ValueError, LookupError, TypeError):
                self._until = 0.0
        return self._known

    def _asked(self) -> tuple[str, ...]:
        with urllib.request.urlopen(self._server.features, timeout=CONNECT) as answer:  # noqa: S310 - http or https by construction
            body = json.loads(answer.read(MAX_MESSAGE))
        codes = body["realtime"]["transcription"][0]["languages"]
        return tuple(sorted({_ISO.get(code, code) for code in codes if "_" not in code}))
