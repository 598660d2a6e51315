"""Delays and audio of a session."""

import pytest

from sottovoce.inference import live_events as live
from sottovoce.realtime.meter import Meter
from sottovoce.request import AudioFormat, AudioType, Encoding
from sottovoce.transcript.model import Mark, Word, samples

RAW = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_S16LE, sample_rate=8000)


class Seen:
    def __init__(self) -> None:
        self.finals: list[float] = []
        self.partials: list[float] = []
        self.seconds = 0.0

    def final(self, delay: float) -> None:
        self.finals.append(delay)

    def partial(self, delay: float) -> None:
        self.partials.append(delay)

    def audio(self, seconds: float) -> None:
        self.seconds += seconds

    def translated(self, done: int, left_out: int) -> None:
        raise AssertionError("the meter sees no translations")

    def decodes(self, done: int, skipped: int) -> None:
        self.work = (done, skipped)


def word(end: float) -> Word:
    return Word(text="a", start=samples(end - 0.2), end=samples(end))


def test_a_delay_counts_from_the_arrival_of_the_last_word() -> None:
    seen = Seen()
    meter = Meter(RAW, 1, seen)
    for step in range(1, 41):  # 4 s in real time, begun at 100
        meter.arrived(0, 1600, 100 + step * 0.1)
    assert meter.audio == pytest.approx(4.0)
    assert meter.lag == pytest.approx(4.0)
    meter.event(live.Partial(channel=0, start=0, end=samples(3.5), items=(word(3.0),)), 104.0)
    assert seen.partials == pytest.approx([1.0])
    items = (word(2.0), Mark(text=".", at=samples(2.0)))
    meter.event(live.Final(channel=0, start=0, end=samples(2.5), items=items), 103.5)
    assert seen.finals == pytest.approx([1.5])
    assert seen.seconds == pytest.approx(3.5)  # processed, counted once
    assert meter.lag == pytest.approx(0.5)
    meter.event(live.Final(channel=0, start=samples(2.5), end=samples(3.5), items=(word(3.5),)), 105.0)
    assert seen.finals == pytest.approx([1.5, 1.5])


def test_a_transcript_without_words_has_no_delay() -> None:
    seen = Seen()
    meter = Meter(RAW, 1, seen)
    meter.arrived(0, 16000, 1.0)
    meter.event(live.Final(channel=0, start=0, end=samples(1.0), items=()), 2.0)
    assert seen.finals == []


def test_of_a_file_only_the_processed_audio_is_known() -> None:
    seen = Seen()
    meter = Meter(AudioFormat(type=AudioType.FILE), 2, seen)
    meter.arrived(0, 100_000, 1.0)
    assert (meter.audio, meter.lag) == (0.0, 0.0)
    meter.event(live.Final(channel=0, start=0, end=samples(1.0), items=(word(1.0),)), 2.0)
    meter.event(live.Ended(channel=0, duration=samples(1.5)), 2.0)
    meter.event(live.Ended(channel=1, duration=samples(2.0)), 2.0)
    assert seen.finals == []
    assert meter.audio == pytest.approx(3.5)
    assert seen.seconds == pytest.approx(3.5)


def test_decodes_and_skipped_ones_are_counted() -> None:
    seen = Seen()
    Meter(RAW, 1, seen).event(live.Worked(audio=samples(1), decodes=2, skipped=3, seconds=0.1), 1.0)
    assert seen.work == (2, 3)
