"""An engine of speech intelligence that misbehaves, loaded by the process of the stages under its import name.

The summary ends the process, sentiment never ends, topics are nonsense, chapters raise; audio events are found.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.intelligence.audio_events import AudioEvent
from sottovoce.intelligence.stages import StageName
from sottovoce.transcript.model import RATE

NAME = "tests.stage_backends:ENGINE"


class Misbehaving:
    """Every backend in one."""

    languages: frozenset[str] = frozenset()
    types = frozenset({"music"})

    def summarize(self, sentences: Sequence[Any], wish: Any, alive: Callable[[], None]) -> Sequence[str]:
        """End the process, as a bug in a library would."""
        os._exit(3)

    def judge(self, texts: Sequence[str], alive: Callable[[], None]) -> Sequence[Any]:
        """Hang."""
        while True:
            time.sleep(60)

    def assign(self, segments: Sequence[Any], topics: Sequence[str], alive: Callable[[], None]) -> Sequence[Any]:
        """Name a topic that does not exist."""
        return [[10**6] for _ in segments]

    def divide(self, sentences: Sequence[Any], alive: Callable[[], None]) -> Sequence[Any]:
        """Raise."""
        raise ZeroDivisionError("the true cause")

    def tag(self, blocks: Iterable[Any]) -> Iterator[AudioEvent]:
        """Find a second of music."""
        list(blocks)
        yield AudioEvent(type="music", start=0, end=RATE, confidence=0.9)


def _load(model: str, device: str, engine_config: EngineConfig) -> Misbehaving:
    return Misbehaving()


ENGINE = Engine(
    name="misbehaving",
    package="numpy",
    offers=lambda _: (),
    loaders=dict.fromkeys(
        (StageName.SUMMARY, StageName.SENTIMENT, StageName.TOPICS, StageName.CHAPTERS, StageName.AUDIO_EVENTS), _load
    ),
)
