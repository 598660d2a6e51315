"""What a live session costs: measured at the start of its process, then learned from the sessions."""

from collections.abc import Sequence
from typing import Any

import pytest

from sottovoce.audio.activity import Span
from sottovoce.engines.protocols import Capabilities, Hints, LiveHypothesis, LiveWord
from sottovoce.inference.live_cost import UNKNOWN, SessionCost, decode_seconds
from sottovoce.transcript.model import RATE


def test_the_first_measurement_counts_until_sessions_say_more() -> None:
    cost = SessionCost(0.3)
    assert cost.cores == pytest.approx(0.6)  # a decode for each half second of audio
    cost.worked(30.0, 30.0)
    assert cost.cores == pytest.approx(0.6)
    cost.worked(40.0, 40.0)
    assert cost.cores == pytest.approx(1.0)
    assert SessionCost(None).cores == UNKNOWN


def test_a_session_uses_one_core_at_most() -> None:
    assert SessionCost(5.0).cores == 1.0


def test_silent_sessions_do_not_make_the_next_one_cheap() -> None:
    cost = SessionCost(0.3)
    cost.worked(1_000.0, 2.0)
    assert cost.cores == pytest.approx(0.3)


def test_old_sessions_are_forgotten() -> None:
    cost = SessionCost(0.3)
    for _ in range(100):
        cost.worked(10.0, 5.0)
    for _ in range(400):
        cost.worked(10.0, 8.0)
    assert cost.cores == pytest.approx(0.8, abs=0.01)


class Recognizer:
    capabilities = Capabilities(engine="e", model="m", languages=frozenset({"fr", "de"}))

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.calls: list[tuple[int, int, bool]] = []

    def open(self, hints: Hints) -> "Recognizer":
        self.opened.append(hints.language)
        return self

    def hypothesis(self, audio: Any, committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        self.calls.append((len(audio), len(committed), closing))
        return LiveHypothesis()

    def whole(self, audio: Any, voiced: Sequence[Span]) -> tuple[LiveWord, ...]:
        raise AssertionError(voiced)

    def items(self, words: Sequence[LiveWord]) -> tuple[()]:
        raise AssertionError(words)


def test_a_decode_of_speech_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.25, 1.0, 1.2, 2.0, 2.1])
    monkeypatch.setattr("sottovoce.inference.live_cost.time.process_time", lambda: next(times))
    recognizer = Recognizer()
    assert decode_seconds(recognizer) == pytest.approx(
        0.2 * 4 / 3, rel=0.02
    )  # a session's window is longer than the clip
    assert recognizer.opened == ["de"]
    assert [call[1:] for call in recognizer.calls] == [(0, False)] * 3
    assert recognizer.calls[0][0] == pytest.approx(3 * RATE, rel=0.02)


def test_a_slow_decode_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.5])
    monkeypatch.setattr("sottovoce.inference.live_cost.time.process_time", lambda: next(times))
    assert decode_seconds(Recognizer()) == pytest.approx(2.0, rel=0.02)
