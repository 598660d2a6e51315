"""The adapter: a Wyoming server whose transcriptions are realtime sessions of a Sottovoce server.

A connection has one transcription at a time. Its audio goes to the session as it arrives; the words that are final come back as
`transcript-chunk`, and the whole text as `transcript` after the end of the audio.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from sottovoce import __version__
from sottovoce.cli.wyoming.upstream import CLOSING, Languages, Server, Session, UpstreamFailed, session
from sottovoce.wire.wyoming import events, requests
from sottovoce.wire.wyoming.events import Event, EventParser, Malformed
from sottovoce.wire.wyoming.requests import AudioFormat, Transcribe

_log = logging.getLogger(__name__)

LATE = 2.0
"""Times the longest audio: the longest a transcription may take, because microphones send at the pace of speech."""
READ = 64 << 10
"""Bytes that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Most *connections* at once; most *seconds* of audio of one transcription; seconds without an event before a connection
    is closed.
    """

    connections: int = 32
    seconds: float = 300.0
    idle: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The language of a request that names none, and the seconds after which words are final."""

    language: str = "en"
    max_delay: float = 1.0


class Adapter:
    """Serves connections of Wyoming clients."""

    def __init__(self, server: Server, defaults: Defaults, limits: Limits) -> None:
        self._server = server
        self._defaults = defaults
        self._limits = limits
        self._languages = Languages(server, defaults.language)
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends; what is malformed is answered with `error` and closes it."""
        if self._open >= self._limits.connections:
            with contextlib.suppress(ConnectionError):
                await _send(writer, events.error("too many connections; try again later", "busy"))
            writer.close()
            return
        self._open += 1
        try:
            await self._conversation(reader, writer)
        except (Malformed, UpstreamFailed) as fault:
            code = fault.code if isinstance(fault, UpstreamFailed) else "malformed"
            _log.info("connection closed", extra={"why": str(fault), "code": code})
            with contextlib.suppress(ConnectionError, TimeoutError):
                await _send(writer, events.error(str(fault), code))
        except (ConnectionError, TimeoutError):
            pass  # the client is gone, or silent
        finally:
            self._open -= 1
            writer.close()

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = Transcribe()
        arriving = _events(reader, self._limits.idle)
        async for event in arriving:
            match event.type:
                case "describe":
                    await _send(writer, events.info(await self._languages.known(), __version__))
                case "ping":
                    await _send(writer, events.pong(event.data.get("text")))
                case "transcribe":
                    asked = requests.transcribe(event)
                case "audio-start":
                    await self._transcribe(asked, requests.audio_format(event), arriving, writer)
                    asked = Transcribe()
                case _:
                    pass  # a server drops events that it does not know

    async def _transcribe(
        self, asked: Transcribe, audio: AudioFormat, arriving: AsyncIterator[Event], writer: asyncio.StreamWriter
    ) -> None:
        """One transcription, from `audio-start` to `transcript-stop`. Raises `Malformed` and `UpstreamFailed`."""
        start = requests.start_recognition(asked, audio, self._defaults.language, self._defaults.max_delay)
        language = str(start["transcription_config"]["language"])
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(session(self._server, start))
            await _send(writer, events.transcript_start(language))
            answering = asyncio.ensure_future(self._answer(opened, language, writer))
            sending = asyncio.ensure_future(self._send_audio(opened, audio, arriving))
            stack.push_async_callback(_cancelled, answering, sending)
            await asyncio.wait(
                {answering, sending}, timeout=LATE * self._limits.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if answering.done():
                answering.result()  # raises why the server ended the session
                raise UpstreamFailed("the server ended the session before the audio did", "server-error")
            if not sending.done():
                raise Malformed(f"a transcription may take {LATE * self._limits.seconds:.0f} s")
            if not sending.result():
                return
            await asyncio.wait({answering}, timeout=CLOSING)
            if not answering.done():
                raise UpstreamFailed("the server did not finish the transcript in time", "server-error")
            answering.result()

    async def _send_audio(self, opened: Session, audio: AudioFormat, arriving: AsyncIterator[Event]) -> bool:
        """Send the audio of the client up to `audio-stop`; False if the client leaves before. Raises `Malformed`."""
        room = round(self._limits.seconds * audio.rate) * requests.WIDTH
        async for event in arriving:
            match event.type:
                case "audio-chunk":
                    if requests.audio_format(event) != audio:
                        raise Malformed("the format of audio changed within a transcription")
                    samples = requests.mono(event.payload, audio.channels)
                    room -= len(samples)
                    if room < 0:
                        raise Malformed(f"a transcription may have {self._limits.seconds:.0f} s of audio")
                    if samples:
                        await opened.send(samples)
                case "audio-stop":
                    await opened.end()
                    return True
                case "audio-start" | "transcribe":
                    raise Malformed(f"{event.type} must come after audio-stop")
                case _:
                    pass
        return False

    async def _answer(self, opened: Session, language: str, writer: asyncio.StreamWriter) -> None:
        """Send the words as they become final, then the whole text."""
        text = ""
        async for final in opened.finals():
            if final:
                text += final
                await _send(writer, events.transcript_chunk(final))
        await _send(writer, events.transcript(" ".join(text.split()), language))
        await _send(writer, events.transcript_stop())


async def _events(reader: asyncio.StreamReader, idle: float) -> AsyncIterator[Event]:
    """Yield the events of a client. Raises `Malformed`, and `TimeoutError` after *idle* seconds without one."""
    parser, loop = EventParser(), asyncio.get_running_loop()
    deadline = loop.time() + idle
    while True:
        async with asyncio.timeout_at(deadline):
            received = await reader.read(READ)
        if not received:
            return
        for event in parser.feed(received):
            yield event
            deadline = loop.time() + idle  # only whole events count, so that single bytes keep no connection open


async def _send(writer: asyncio.StreamWriter, event: Event) -> None:
    writer.write(events.encode(event))
    async with asyncio.timeout(CLOSING):
        await writer.drain()


async def _cancelled(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
