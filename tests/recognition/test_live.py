"""Whisper in live sessions: numbers, which begin loops in short windows, have every digit once."""

import re

import pytest

from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.whisper.live import WhisperLive
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.session import LiveSession
from sottovoce.request import AudioFormat, AudioType, Encoding, LiveRequest
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE
from tests.recognition.material import FIXTURES, load

pytestmark = pytest.mark.weights

AUDIO = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_F32LE, sample_rate=RATE)
PIECE = RATE // 10


def said(whisper, audio):
    """The text of the finals of a session in which *audio* is said."""
    told: list[events.Event] = []
    request = LiveRequest(language="en", audio=AUDIO, enable_partials=True, max_delay=2.0)
    session = LiveSession(request, WhisperLive(whisper), SileroVad, told.append, lambda: 0.0)
    for at in range(0, len(audio), PIECE):
        session.audio(0, audio[at : at + PIECE].astype("<f4").tobytes())
        while session.work():
            pass
    session.end(None)
    while session.work():
        pass
    return join([item for event in told if isinstance(event, events.Final) for item in event.items], pack("en"))


def digits(text):
    """The digits of *text* in order, also those that are words."""
    values = {"one": "1", "two": "2", "three": "3"}
    return "".join(
        values.get(word.casefold(), "") or word
        for word in re.findall(r"[a-z]+|[0-9]+", text, re.IGNORECASE)
        if word.isdecimal() or word.casefold() in values
    )


def test_years_money_and_amounts_are_written_once(tiny):
    text = said(tiny, load(FIXTURES / "numbers.flac"))
    assert re.findall(r"\d+", text)[:3] == ["1984", "5", "250"], text


@pytest.mark.shared
def test_single_digits_with_pauses_are_written_once(tiny, shared):
    text = said(tiny, load(shared / "audio" / "sr" / "english.wav"))
    assert digits(text) == "123", text


@pytest.mark.shared
def test_digits_that_are_said_twice_are_written_twice(base, shared):
    audio = load(shared / "audio" / "speechmatics" / "audio_01_16kHz.wav")
    text = said(base, audio[8 * RATE : 13 * RATE])
    assert digits(text) == "123123", text
