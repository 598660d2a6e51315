"""What a live session reports beside its transcript: sentences as in batch, their audio, and audio events."""

import numpy as np
import pytest

from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.beside.listeners import Listeners
from sottovoce.pipeline.live.beside.recent_audio import KEPT, SPARE, RecentAudio
from sottovoce.request import AudioFormat, AudioType, LiveRequest, LiveTranslation
from sottovoce.transcript.model import RATE, Item
from tests.unit.intelligence.talk import WORD, items

REQUEST = LiveRequest(language="en", audio=AudioFormat(type=AudioType.FILE))


class Session:
    """The listeners of a session with *translation* and *sounds*, and what they report."""

    def __init__(self, translation: LiveTranslation | None = None, sounds: tuple[str, ...] | None = None) -> None:
        self.got: list[events.Event] = []
        request = LiveRequest(language="en", audio=REQUEST.audio, translation=translation, audio_events=sounds)
        self.listeners = Listeners(request, self.got.append)

    def final(self, said: list[Item], end: int | None = None) -> None:
        until = max((item.end for item in said), default=0)
        self.listeners.emit(events.Final(channel=0, start=0, end=until if end is None else end, items=tuple(said)))

    def partial(self, said: list[Item]) -> None:
        self.listeners.emit(events.Partial(channel=0, start=0, end=0, items=tuple(said)))

    def end(self) -> None:
        self.listeners.emit(events.Ended(channel=0, duration=10 * RATE))

    @property
    def sentences(self) -> list[str]:
        found = [each for each in self.got if isinstance(each, events.SentenceHeard)]
        return [each.text if each.final else f"({each.text})" for each in found]


TRANSLATED = LiveTranslation(targets=("de",))


def test_a_sentence_is_told_after_the_final_that_ends_it():
    session = Session(TRANSLATED)
    session.final(items("It is late. We"))
    session.final(items("go home now. Good", start=4 * WORD))
    assert session.sentences == ["It is late.", "We go home now."]
    assert [type(each).__name__ for each in session.got] == ["Final", "SentenceHeard", "Final", "SentenceHeard"]
    second = session.got[-1]
    assert isinstance(second, events.SentenceHeard)
    assert (second.start, second.end, second.channel, second.audio) == (3 * WORD, 7 * WORD, 0, b"")
    session.end()
    assert session.sentences[-1] == "Good"
    assert isinstance(session.got[-1], events.Ended), "the last sentence of a channel comes before its end"


@pytest.mark.parametrize("ending", ["utterance", "silence", "speaker"])
def test_a_sentence_without_a_mark_ends_with_its_utterance_a_pause_or_another_speaker(ending):
    session = Session(TRANSLATED)
    session.final(items("it is late", speaker="S1"))
    assert session.sentences == []
    if ending == "utterance":
        session.listeners.emit(events.UtteranceEnd(channel=0, at=3 * WORD, forced=False))
    elif ending == "silence":
        session.final([], end=3 * WORD + 2 * RATE)
    else:
        session.final(items("yes", start=3 * WORD, speaker="S2"))
    assert session.sentences == ["it is late"]
    heard = next(each for each in session.got if isinstance(each, events.SentenceHeard))
    assert heard.speaker == "S1"


def test_partials_have_everything_that_is_open_and_only_changes_are_told():
    session = Session(LiveTranslation(targets=("de",), partials=True))
    session.final(items("It is"))
    session.partial(items("late", start=2 * WORD))
    session.partial(items("late", start=2 * WORD))
    session.partial(items("late. And", start=2 * WORD))
    session.final(items("late. And", start=2 * WORD))
    session.partial([])
    assert session.sentences == ["(It is late)", "(It is late. And)", "It is late.", "(And)"]
    quiet = Session(TRANSLATED)
    quiet.partial(items("late"))
    assert quiet.sentences == []


def test_a_translator_that_hears_gets_the_audio_of_the_sentence():
    session = Session(LiveTranslation(targets=("en",), heard=True))
    ramp = np.arange(4 * RATE, dtype=np.float32) / np.float32(8 * RATE)
    for at in range(0, len(ramp), 1_000):
        session.listeners.heard(0, ramp[at : at + 1_000])
    session.final(items("late.", start=2 * RATE))
    heard = session.got[-1]
    assert isinstance(heard, events.SentenceHeard)
    samples = np.frombuffer(heard.audio, "<i2")
    assert heard.lead == RATE // 5
    assert len(samples) == WORD + 2 * (RATE // 5)
    assert samples[heard.lead] == pytest.approx(32_767 * 0.25, abs=2)


def test_the_audio_of_a_minute_is_kept():
    recent = RecentAudio()
    for number in range(90):
        recent.push(np.full(RATE, number / 100, np.float32))
    assert len(recent._held) // 2 <= KEPT + SPARE
    audio, begun = recent.cut(50 * RATE, 51 * RATE)
    assert (begun, len(audio) // 2) == (50 * RATE, RATE)
    assert np.frombuffer(audio, "<i2")[0] == pytest.approx(0.5 * 32_767, abs=1)
    audio, begun = recent.cut(0, 31 * RATE)
    assert begun > 0
    assert begun + len(audio) // 2 == 31 * RATE
    assert recent.cut(95 * RATE, 96 * RATE)[0] == b""


def chord(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(sum(0.05 * np.sin(2 * np.pi * f * time) for f in (220, 277, 330, 440)), np.float32)


def sounds(session: Session) -> list[tuple[str, float]]:
    found = []
    for each in session.got:
        if isinstance(each, events.SoundStarted):
            assert each.kind == "music"
            assert 0.5 <= each.confidence <= 1
            found.append(("started", each.start / RATE))
        elif isinstance(each, events.SoundEnded):
            found.append(("ended", each.end / RATE))
    return found


def test_music_is_told_while_it_plays_and_when_it_stops():
    session = Session(sounds=())
    for at, audio in enumerate([np.zeros(2 * RATE), chord(5), np.zeros(2 * RATE), chord(4.5)]):
        pieces = np.array_split(audio.astype(np.float32), 7 + at)  # blocks need not fit to pieces
        for piece in pieces:
            session.listeners.heard(0, piece)
        if at == 1:
            assert sounds(session) == [("started", 2.0)]
    session.end()
    assert sounds(session) == [("started", 2.0), ("ended", 7.0), ("started", 9.0), ("ended", 13.5)]
    assert isinstance(session.got[-1], events.Ended)


@pytest.mark.parametrize("wanted", [None, ("laughter",)])
def test_what_was_not_asked_for_is_not_told(wanted):
    session = Session(sounds=wanted)
    session.listeners.heard(0, chord(6))
    session.end()
    assert sounds(session) == []


def test_a_bug_beside_the_transcript_does_not_cost_it(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    session = Session(TRANSLATED, sounds=("music",))
    monkeypatch.setattr("sottovoce.pipeline.live.beside.sentences.split", fails)
    monkeypatch.setattr("sottovoce.intelligence.backends.builtin.music.held", fails)
    session.listeners.heard(0, chord(2))
    session.final(items("It is late."))
    session.final(items("It is later."))
    session.end()
    assert [type(each).__name__ for each in session.got] == ["Note", "Final", "Note", "Final", "Ended"]
    notes = [each.text for each in session.got if isinstance(each, events.Note)]
    assert notes == ["SoundReporter left out: ZeroDivisionError", "SentenceCutter left out: ZeroDivisionError"]


def test_short_music_is_not_told():
    session = Session(sounds=("music",))
    session.listeners.heard(0, np.concatenate([chord(2), np.zeros(3 * RATE, np.float32)]))
    session.end()
    assert sounds(session) == []
