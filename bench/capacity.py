"""How many realtime sessions a server takes: part of `bench.realtime` (`--capacity`).

Sessions begin one after another, `STEP` seconds apart so that the measured load contains each, until a handshake is refused. For
`PLATEAU` seconds more, all of them go on, and new handshakes are tried every two seconds.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np

from bench import machine
from bench.realtime import PIECE, Sound
from sottovoce.transcript.model import RATE
from tests.servers import Server

STEP = 20.0
"""Seconds between two sessions; a young one counts at its expected cost (`inference/live_pool.py`)."""
PLATEAU = 40.0
"""Seconds of the full server."""
TURN = 6.0
"""Seconds of a turn in a conversation; the caller listens as long."""
MOST = 40


@dataclass(slots=True)
class Session:
    """One session: (arrival, delay) of its final words in seconds, from the first handshake on."""

    number: int
    began: float
    delays: list[tuple[float, float]] = field(default_factory=list)
    error: str = ""


class Refusal(Exception):
    """The handshake was refused: HTTP *status* after *seconds*."""

    def __init__(self, status: int, seconds: float) -> None:
        super().__init__(status)
        self.status, self.seconds = status, seconds


def with_pauses(sound: Sound) -> Sound:
    """*sound* as one side of a conversation: `TURN` seconds of it, then as many of silence."""
    audio = np.frombuffer(sound.pcm, "<i2")
    size = round(TURN * RATE)
    parts = [np.concatenate([audio[at : at + size], np.zeros(size, "<i2")]) for at in range(0, len(audio), size)]
    return Sound(pcm=np.concatenate(parts).tobytes(), reference=sound.reference)


class Crowd:
    """The sessions of one measurement. *max_delay* as in the config."""

    def __init__(self, server: Server, sound: Sound, max_delay: float) -> None:
        self._server, self._sound, self._max_delay = server, sound, max_delay
        self._url = f"{server.url.replace('http', 'ws')}/v2"
        self._zero = time.monotonic()
        self._stop = asyncio.Event()
        self.sessions: list[Session] = []
        self.refusals: list[Refusal] = []

    async def run(self) -> dict[str, Any]:
        """Begin sessions until one is refused, and stay full for a while."""
        headers = {"Authorization": f"Bearer {self._server.key}"}
        async with aiohttp.ClientSession(headers=headers) as http, asyncio.TaskGroup() as group:
            try:
                while len(self.sessions) < MOST:
                    socket = await self._connected(http)
                    session = Session(number=len(self.sessions), began=self._now())
                    self.sessions.append(session)
                    group.create_task(self._talk(socket, session))
                    await asyncio.sleep(STEP)
            except Refusal as refusal:
                self.refusals.append(refusal)
            full = self._now()
            while self.refusals and self._now() < full + PLATEAU:
                await asyncio.sleep(2)
                try:
                    await (await self._connected(http)).close()
                except Refusal as refusal:
                    self.refusals.append(refusal)
            self._stop.set()
        return self._report(full)

    def _now(self) -> float:
        return time.monotonic() - self._zero

    async def _connected(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        begun = time.monotonic()
        try:
            return await http.ws_connect(self._url, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            raise Refusal(error.status, time.monotonic() - begun) from error

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse, session: Session) -> None:
        """Send the audio, from another place than the other sessions, until the end of the measurement."""
        audio = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": RATE}
        config = {"language": "en", "enable_partials": True, "max_delay": self._max_delay}
        await socket.send_json({"message": "StartRecognition", "audio_format": audio, "transcription_config": config})
        begun = asyncio.get_running_loop().create_future()
        reading = asyncio.create_task(self._read(socket, session, begun))
        zero = await asyncio.wait_for(begun, 30)
        pcm, size, number = self._sound.pcm, round(PIECE * RATE) * 2, 0
        at = (session.number * 7919 * size) % len(pcm) // size * size
        while not self._stop.is_set() and not reading.done():
            number += 1
            await asyncio.sleep(max(zero + number * PIECE - time.monotonic(), 0))
            await socket.send_bytes(pcm[at : at + size])
            at = at + size if at + size < len(pcm) else 0
        if not reading.done():
            await socket.send_json({"message": "EndOfStream", "last_seq_no": number})
        await asyncio.wait_for(reading, 60)
        await socket.close()

    async def _read(
        self, socket: aiohttp.ClientWebSocketResponse, session: Session, begun: "asyncio.Future[float]"
    ) -> None:
        async for message in socket:
            body = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
            now = time.monotonic()
            match body.get("message"):
                case "RecognitionStarted":
                    begun.set_result(now)
                case "AddTranscript":
                    words = [each for each in body["results"] if each["type"] == "word"]
                    session.delays += [(now - self._zero, now - begun.result() - each["end_time"]) for each in words]
                case "EndOfTranscript":
                    return
                case "Error":
                    session.error = f"{body.get('type')}: {body.get('reason')}"
                    if not begun.done():
                        begun.set_exception(RuntimeError(session.error))
                    return
        session.error = session.error or "the connection was closed"

    def _report(self, full: float) -> dict[str, Any]:
        by_count = []
        starts = [*(session.began for session in self.sessions), full]
        for count, (begin, end) in enumerate(itertools.pairwise(starts), 1):
            by_count.append({"sessions": count, "final_s": _delays(self.sessions, begin, end)})
        end = full + PLATEAU
        return {
            "max_delay": self._max_delay,
            "sessions": len(self.sessions),
            "errors": [session.error for session in self.sessions if session.error],
            "by_sessions": by_count,
            "full_final_s": _delays(self.sessions, full, end) if self.refusals else {},
            "refused": len(self.refusals),
            "refusal_status": sorted({refusal.status for refusal in self.refusals}),
            "refusal_s_longest": max((refusal.seconds for refusal in self.refusals), default=None),
        }


def _delays(sessions: Sequence[Session], begin: float, end: float) -> dict[str, float]:
    found = [delay for session in sessions for at, delay in session.delays if begin <= at < end]
    if not found:
        return {}
    return {name: machine.percentile(found, share) for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))}


def measure(server: Server, sound: Sound, max_delay: float) -> dict[str, Any]:
    """The sessions that *server* takes with *sound*, and their delays."""

    async def run() -> dict[str, Any]:
        return await Crowd(server, sound, max_delay).run()

    return asyncio.run(run())
