"""Whisper in live sessions: numbers, which begin loops in short windows, have every digit once."""

import re

import pytest

from sottovoce.engines.whisper.live import WhisperLive
from sottovoce.transcript.model import RATE
from tests.recognition.material import FIXTURES, converse, final_text, load

pytestmark = pytest.mark.weights


def said(whisper, audio):
    """The text of the finals of a session in which *audio* is said."""
    return final_text(converse(WhisperLive(whisper), audio, max_delay=2.0))


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
