"""Forced ends of utterances at any time: each word is final once, in order and at its time (contract `realtime.md` §4.6, §5.3)."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.engines.protocols import Hints
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.session import LiveSession
from sottovoce.request import LiveRequest
from sottovoce.transcript.model import RATE, Samples
from tests.examples import examples
from tests.unit.pipeline import spoken
from tests.unit.pipeline.test_live_channel import PIECE, RAW, Recognizer

Step = tuple[str, float]
SAY = st.tuples(st.just("say"), st.integers(1, 4))
PAUSE = st.tuples(st.just("pause"), st.sampled_from([0.1, 0.3, 0.4, 0.6, 1.5]))
FORCE = st.tuples(st.just("force"), st.sampled_from([-1.0, 0.0, 0.3, 1.0, 2.5]))
"""Seconds ago; before 0: a second ahead of the audio."""


class Reader:
    """A `LiveRecognizer` that reads what *language* said."""

    capabilities = Recognizer.capabilities

    def __init__(self, language: spoken.Language) -> None:
        self.language = language

    def open(self, hints: Hints) -> spoken.Ear:
        del hints
        return spoken.Ear(self.language)


class Talk:
    """A session in which words are said and forced ends are asked for at the borders of words."""

    def __init__(self, max_delay: float) -> None:
        self.language = spoken.Language()
        self.got: list[events.Event] = []
        self.said: list[tuple[str, Samples]] = []  # with their beginnings
        self.borders: list[Samples] = [0]
        self.fed: Samples = 0
        request = LiveRequest(language="en", audio=RAW, enable_partials=True, max_delay=max_delay)
        self.session = LiveSession(request, Reader(self.language), spoken.Vad, self.got.append, lambda: self.fed / RATE)

    def take(self, step: Step) -> None:
        kind, value = step
        if kind == "say":
            for _ in range(int(value)):
                word = chr(ord("a") + len(self.said) % 26) * (1 + len(self.said) // 26)
                self.said.append((word, self.fed))
                self.feed(self.language.say(word))
        elif kind == "pause":
            self.feed(np.zeros(round(value * RATE), np.float32))
        else:
            at = self.fed - round(value * RATE)
            self.session.force_end(None, at if value < 0 else max(each for each in self.borders if each <= max(at, 0)))
            self.work()

    def feed(self, audio: Any) -> None:
        for start in range(0, len(audio), PIECE):
            piece = audio[start : start + PIECE]
            self.fed += len(piece)
            self.session.audio(0, piece.tobytes())
            self.work()
        self.borders.append(self.fed)

    def work(self) -> None:
        while self.session.work():
            pass


@settings(max_examples=examples(120), deadline=None)
@given(st.lists(SAY | PAUSE | FORCE, max_size=12), st.sampled_from([0.7, 1.0, 2.0, 4.0]))
def test_forced_ends_neither_lose_nor_move_words(steps: list[Step], max_delay: float) -> None:
    talk = Talk(max_delay)
    for step in steps:
        talk.take(step)
    talk.session.end(None)
    talk.work()
    finals = [event for event in talk.got if isinstance(event, events.Final)]
    heard = [(item.text, item.start) for final in finals for item in final.items]
    assert [word for word, _ in heard] == [word for word, _ in talk.said]
    assert all(abs(at - start) < spoken.WORD for (_, at), (_, start) in zip(heard, talk.said, strict=True))
    assert sum(isinstance(event, events.UtteranceEnd) for event in talk.got) == sum(
        kind == "force" for kind, _ in steps
    )
