"""A voice agent's session with real weights: the words of every turn, in the order of the contract."""

import re

import numpy as np
import pytest

from sottovoce.audio import media
from sottovoce.engines import registry
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Skill
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.session import LiveSession
from sottovoce.request import AudioFormat, AudioType, Encoding, LiveRequest, TurnDetection, Turns
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE
from tests.recognition.material import DEMO

pytestmark = pytest.mark.weights

PIECE = RATE // 10
SPOKEN = 11.95
"""Seconds of the demo: its first three sentences. Whisper tiny mishears the fourth on some processors."""
AUDIO = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_F32LE, sample_rate=RATE)


@pytest.fixture(scope="module")
def live(engine_config):
    return registry.load(Skill.LIVE, EngineKey(engine="whisper", model="whisper-tiny.en"), engine_config)


@pytest.fixture(scope="module")
def spoken(demo_text):
    """What is said."""
    return " ".join(re.findall(r"[^.]+\.", demo_text)[:3]).replace("  ", " ")


def converse(live, turns, forced=()):
    """The events of a session in which three sentences are said; the client ends a turn at each of *forced*, in seconds."""
    told: list[events.Event] = []
    request = LiveRequest(language="en", audio=AUDIO, enable_partials=True, turns=turns)
    session = LiveSession(request, live, SileroVad, told.append, lambda: 0.0)
    whole = np.concatenate([block[0] for block in media.decode(DEMO)])
    audio = np.concatenate([whole[: round(SPOKEN * RATE)], np.zeros(2 * RATE, np.float32)])
    ends = [round(at * RATE) for at in forced]
    for at in range(0, len(audio), PIECE):
        session.audio(0, audio[at : at + PIECE].astype("<f4").tobytes())
        while ends and ends[0] <= at + PIECE:
            session.force_end(0, ends.pop(0))
        while session.work():
            pass
    session.end(None)
    while session.work():
        pass
    return told


def segments(told):
    return [join(event.items, pack("en")) for event in told if isinstance(event, events.Final)]


def test_each_sentence_is_a_turn(live, spoken):
    told = converse(live, Turns())
    found = segments(told)
    assert " ".join(found).replace(",", "") == spoken.replace(",", "")
    assert found == re.findall(r"[^.]+\.", " ".join(found).replace(". ", ".")), "a turn is not a sentence"
    assert sum(isinstance(event, events.UtteranceEnd) for event in told) == len(found)
    partials = sum(isinstance(event, events.Partial) for event in told)
    assert partials > 3 * len(found)


def test_the_client_ends_the_turns_and_no_word_is_lost(live, spoken):
    told = converse(live, Turns(detection=TurnDetection.EXTERNAL), forced=(8.0,))
    found = segments(told)
    assert " ".join(found).replace(",", "") == spoken.replace(",", "")
    assert [event.forced for event in told if isinstance(event, events.UtteranceEnd)] == [True, False]
    assert len(found) == 2, "two sentences of a turn are one segment"


def test_sentences_are_segments_of_their_own(live):
    told = converse(live, Turns(detection=TurnDetection.EXTERNAL, sentences=True))
    assert len(segments(told)) >= 3
    assert [event.forced for event in told if isinstance(event, events.UtteranceEnd)] == [False]
