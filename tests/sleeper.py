"""An engine for fault tests and benchmarks: it sleeps instead of recognising, and always gives the same words.

Use: `SOTTOVOCE_ENGINE=tests.sleeper:ENGINE`, with the repository root on `PYTHONPATH` of the server (its engine processes inherit
that; `SOTTOVOCE_…` variables they do not). `SLEEPER_FACTOR` is the share of real time that it sleeps: 0.5 takes half a second
for each second of speech; the default is 0, no sleep at all. `environment()` gives all of it. `SLEEPER_LANGUAGES` (`nl,en`) are its
languages in place of English; it identifies the first one in any speech.

Each second of speech becomes one word, chosen by its place in the media alone: two attempts at one file, however they were
interrupted, give the same transcript.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio.activity import Span
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.protocols import (
    Capabilities,
    Hints,
    LanguageScore,
    LiveHypothesis,
    LiveWord,
    Recognized,
    Skill,
    Speech,
)
from sottovoce.transcript.model import RATE, Item, Samples, Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

NAME = "tests.sleeper:ENGINE"
ROOT = Path(__file__).resolve().parent.parent
WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima")
"""Words that formatting leaves unchanged: no numbers, no letter names."""

CAPABILITIES = Capabilities(
    engine="sleeper",
    model="drowsy",
    languages=frozenset({"en"}),
    skills=frozenset({Skill.TRANSCRIPTION, Skill.LIVE}),
    word_confidence=True,
)


def environment(factor: float = 0.0) -> dict[str, str]:
    """The environment of a server that uses this engine."""
    return {"SOTTOVOCE_ENGINE": NAME, "PYTHONPATH": str(ROOT), "SLEEPER_FACTOR": str(factor)}


def _capabilities() -> Capabilities:
    """Of the engine in this environment."""
    languages = os.environ.get("SLEEPER_LANGUAGES")
    if not languages:
        return CAPABILITIES
    return replace(CAPABILITIES, languages=frozenset(languages.split(",")), identifies_language=True)


class Sleeper:
    """A `Recognizer` that sleeps *factor* seconds for each second of speech."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    @property
    def capabilities(self) -> Capabilities:
        return _capabilities()

    def identify(self, speech: Sequence[Speech]) -> tuple[LanguageScore, ...]:
        first = os.environ.get("SLEEPER_LANGUAGES", "en").split(",")[0]
        return (LanguageScore(language=first, confidence=0.9),) if speech else ()

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        for stretch in speech:
            time.sleep(self._factor * len(stretch.audio) / RATE)
            yield Recognized(start=stretch.start, end=stretch.end, items=tuple(_words(stretch.start, stretch.end)))


def _words(start: Samples, end: Samples) -> Iterator[Word]:
    for at in range(start, end, RATE):
        text = WORDS[at // RATE % len(WORDS)]
        yield Word(text=text, start=at, end=min(at + RATE, end), confidence=0.5)


class LiveSleeper:
    """A `LiveRecognizer` and `LiveStream` that sleeps *factor* seconds for each second of audio; one word a second."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def open(self, hints: Hints) -> "LiveSleeper":
        if any(entry.content == "explode" for entry in hints.vocab):
            raise RuntimeError("asked to explode")
        return self

    def whole(self, audio: "Floats", voiced: Sequence[Span]) -> tuple[LiveWord, ...]:
        del voiced
        return self.hypothesis(audio, (), closing=True).words

    def hypothesis(self, audio: "Floats", committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        time.sleep(self._factor * len(audio) / RATE)
        count = max(-(-len(audio) // RATE), len(committed))
        texts = [
            *(word.text for word in committed),
            *(WORDS[number % len(WORDS)] for number in range(len(committed), count)),
        ]
        return LiveHypothesis(
            words=tuple(
                LiveWord(text=text, start=number * RATE, end=(number + 1) * RATE, probability=0.5)
                for number, text in enumerate(texts)
            )
        )

    def items(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        return tuple(
            Word(text=word.text, start=word.start, end=word.end, confidence=word.probability, language="en")
            for word in words
        )


def _load(model: str, device: str, engine_config: EngineConfig) -> Sleeper:
    return Sleeper(float(os.environ.get("SLEEPER_FACTOR", "0")))


def _load_live(model: str, device: str, engine_config: EngineConfig) -> LiveSleeper:
    return LiveSleeper(float(os.environ.get("SLEEPER_FACTOR", "0")))


ENGINE = Engine(
    name="sleeper",
    package="",
    offers=lambda _: (_capabilities(),),
    loaders={Skill.TRANSCRIPTION: _load, Skill.LIVE: _load_live},
)
