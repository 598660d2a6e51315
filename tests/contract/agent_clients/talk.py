"""What the client programs share: the talks that a test asks for, audio at a pace, and the events that go back to the test.

A program reads lines of JSON from standard input, each a list of talks, holds the talks of a line at the same time, and answers
with one line: a list with the events of each. It imports its framework once for all of them.
"""

import asyncio
import json
import sys
import time
import traceback
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

RATE = 16_000
FRAME = 320  # samples: 20 ms, as from a phone or a browser


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One session. *ends* are the seconds of audio at which the application itself sees the end of a turn."""

    url: str
    key: str
    audio: str  # 16 kHz, one channel, 16 bits
    mode: str  # vad, external; the older plugins have their own names
    pace: float = 1.0  # seconds of audio in a second
    ends: tuple[float, ...] = ()
    vad: bool = False  # the framework's own voice activity detection sees the end of turns
    speakers: bool = False  # ask for the speakers before the end
    settings: dict[str, Any] = field(default_factory=dict)  # further arguments of the plugin


@dataclass(kw_only=True)
class Heard:
    """The events so far, and the seconds of audio sent."""

    sent: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, **more: Any) -> None:
        """An event, with the seconds of audio that were sent before it."""
        self.events.append({"kind": kind, "sent": round(self.sent, 3), **more})


Hold = Callable[[Talk, Heard], Awaitable[None]]


async def frames(talk: Talk, heard: Heard) -> AsyncIterator[tuple[bytes, bool]]:
    """The audio in frames at the pace of the talk, each with whether a turn ends after it."""
    with wave.open(talk.audio) as file:
        found = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if found != (RATE, 1, 2):
            raise ValueError(f"{talk.audio} has {found}")
        samples = file.readframes(file.getnframes())
    ends = list(talk.ends)
    began = time.monotonic()
    for at in range(0, len(samples), FRAME * 2):
        frame = samples[at : at + FRAME * 2]
        heard.sent = (at + len(frame)) / 2 / RATE
        ended = bool(ends) and heard.sent >= ends[0]
        if ended:
            ends.pop(0)
        yield frame, ended
        await asyncio.sleep(max(0.0, began + heard.sent / talk.pace - time.monotonic()))


async def _guarded(hold: Hold, talk: Talk) -> list[dict[str, Any]]:
    heard = Heard()
    try:
        async with asyncio.timeout(120):
            await hold(talk, heard)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test reports it
        traceback.print_exc()
        heard.add("failed", text=f"{type(error).__name__}: {error}")
    return heard.events


def serve(hold: Hold) -> None:
    """Answer talks until standard input ends."""

    async def run() -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            talks = [Talk(**each) for each in json.loads(line)]
            found = await asyncio.gather(*(_guarded(hold, talk) for talk in talks))
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()

    asyncio.run(run())


def line(talks: Sequence[Talk]) -> str:
    """The line that asks for *talks*."""
    return json.dumps([asdict(each) for each in talks]) + "\n"
