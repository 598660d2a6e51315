"""Segments and turns of a voice agent's caller (contract `agent-stt.md` §4, §5), with speech that is written sample by sample."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.channel import ChannelParts
from sottovoce.pipeline.live.formatting import LiveFormatter
from sottovoce.pipeline.live.policy import policy_of
from sottovoce.pipeline.live.segments import LONGEST_PIECE, LONGEST_SEGMENT, SegmentChannel, turn_policy
from sottovoce.pipeline.live.speakers import SpeakerTrack
from sottovoce.request import AudioFormat, AudioType, Encoding, LiveRequest, TurnDetection, Turns
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE
from tests.unit.pipeline.spoken import Ear, Floats, Language, Vad

CHUNK = RATE // 50
VAD, EXTERNAL = TurnDetection.VAD, TurnDetection.EXTERNAL


@dataclass
class Caller:
    """A channel, and what it has reported."""

    turns: Turns
    misheard: dict[str, str] = field(default_factory=dict)
    told: list[events.Event] = field(default_factory=list)
    speakers: SpeakerTrack | None = None

    def __post_init__(self) -> None:
        audio = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_S16LE, sample_rate=RATE)
        request = LiveRequest(language="en", audio=audio, turns=self.turns)
        self.language = Language()
        self.ear = Ear(self.language, self.misheard)
        formatter = LiveFormatter(request, pack("en"), punctuated=True, volume=None, failed=self._failed)
        parts = ChannelParts(
            number=0,
            stream=self.ear,
            vad=Vad(),
            formatter=formatter,
            volume=None,
            partials=True,
            emit=self.told.append,
            clock=lambda: self.at,
            listen=self.speakers.hear if self.speakers else None,
            speakers=self.speakers,
        )
        self.at = 0.0
        self.channel = SegmentChannel(parts, turn_policy(policy_of(request), self.turns), self.turns, "en")

    @staticmethod
    def _failed(name: str, error: Exception) -> None:
        raise AssertionError(name) from error

    def hear(self, *audio: Floats) -> "Caller":
        """Send *audio* in pieces of 20 ms, and let the channel work after each."""
        whole = np.concatenate(audio)
        for at in range(0, len(whole), CHUNK):
            piece = whole[at : at + CHUNK]
            self.at += len(piece) / RATE
            self.channel.push(piece)
            while self.channel.work():
                pass
        return self

    def say(self, text: str, pause: float = 0.0) -> "Caller":
        return self.hear(self.language.say(text, pause))

    def force(self, at: float | None = None) -> "Caller":
        self.channel.force_end(None if at is None else round(at * RATE))
        while self.channel.work():
            pass
        return self

    def finish(self) -> "Caller":
        self.channel.finish()
        while self.channel.work():
            pass
        assert self.channel.ended
        return self

    def texts(self, kind: type[events.Final | events.Partial]) -> list[str]:
        return [join(event.items, pack("en")) for event in self.told if isinstance(event, kind)]

    @property
    def segments(self) -> list[str]:
        return self.texts(events.Final)

    @property
    def ends(self) -> list[tuple[float, bool]]:
        return [(event.at / RATE, event.forced) for event in self.told if isinstance(event, events.UtteranceEnd)]

    @property
    def story(self) -> str:
        """The kinds of events in order, repetitions once: `S` speech started, `p`, `F`, `E` speech ended, `T` turn ended."""
        letters = {
            events.SpeechStarted: "S",
            events.Partial: "p",
            events.Final: "F",
            events.SpeechEnded: "E",
            events.UtteranceEnd: "T",
        }
        told = [letters[type(event)] for event in self.told if type(event) in letters]
        return "".join(letter for n, letter in enumerate(told) if n == 0 or told[n - 1] != letter)


def vad(*, sentences: bool = False) -> Caller:
    return Caller(Turns(detection=VAD, sentences=sentences))


def external(*, sentences: bool = False) -> Caller:
    return Caller(Turns(detection=EXTERNAL, sentences=sentences))


def closing(caller: Caller) -> Sequence[float]:
    return [seconds for seconds, closes in caller.ear.decodes if closes]


def test_silence_ends_a_turn_and_the_order_is_that_of_the_contract() -> None:
    caller = vad().say("where is my order?", 1.5).say("I have waited for two weeks.", 1.5)
    assert caller.segments == ["where is my order?", "I have waited for two weeks."]
    assert caller.story == "SpFE".replace("FE", "EF") + "T" + "SpEFT"
    assert [forced for _, forced in caller.ends] == [False, False]


def test_a_pause_after_an_unfinished_sentence_does_not_end_the_turn() -> None:
    caller = vad().say("I would like to speak to the", 1.2).say("manager.", 1.5)
    assert caller.segments == ["I would like to speak to the manager."]
    assert len(caller.ends) == 1
    fixed = vad().say("I would like to speak.", 1.2).say("manager.", 1.5)
    assert len(fixed.ends) == 2


def test_the_segment_has_the_words_of_the_decode_of_the_whole() -> None:
    caller = Caller(Turns(detection=VAD), misheard={"order": "odour"}).say("where is my order today?", 1.5)
    partials = caller.texts(events.Partial)
    assert any("odour" in text for text in partials)
    assert caller.segments == ["where is my order today?"]


def test_the_decode_of_the_whole_is_ready_before_the_turn_ends() -> None:
    caller = external().say("where is my order?", 0.3)
    count = len(caller.ear.decodes)
    assert closing(caller)
    caller.force()
    assert caller.segments == ["where is my order?"]
    assert len(caller.ear.decodes) == count, "the forced end needed another decode"


def test_speech_that_goes_on_makes_the_decode_of_the_whole_void() -> None:
    caller = external().say("where is", 0.3).say("my order?", 0.3).force()
    assert caller.segments == ["where is my order?"]
    assert caller.texts(events.Partial)[-1] == "where is my order?"


def test_a_forced_end_waits_for_its_audio_and_later_words_are_of_the_next_turn() -> None:
    caller = external().say("one more thing", 0.0)
    caller.force(at=3 * 0.4 + 0.3)
    assert caller.ends == []
    caller.hear(np.zeros(round(0.35 * RATE), np.float32)).say("and then another", 0.3).force()
    assert caller.segments == ["one more thing", "and then another"]
    assert caller.ends[0] == (pytest.approx(1.5), True)


def test_a_forced_end_in_the_middle_of_speech_divides_it() -> None:
    caller = external().say("alpha beta gamma delta")
    caller.force(at=0.8).hear(np.zeros(RATE // 2, np.float32)).force()
    assert caller.segments == ["alpha beta", "gamma delta"]


def test_only_the_client_ends_a_turn_in_external_mode() -> None:
    caller = external().say("hello there.", 10.0).say("are you there?", 10.0)
    assert caller.ends == []
    assert caller.segments == []
    caller.force()
    assert caller.segments == ["hello there. are you there?"]


def test_sentences_close_segments() -> None:
    caller = vad(sentences=True).say("this is the first. and this here is the second one. no", 2.0)
    assert caller.segments == ["this is the first.", "and this here is the second one.", "no"]
    assert len(caller.ends) == 1
    pause = external(sentences=True).say("this is the first.", 0.7)
    assert pause.segments == ["this is the first."]
    assert pause.ends == []
    assert pause.force().ends


def test_a_segment_of_two_minutes_closes_and_no_word_is_lost() -> None:
    words = [f"z{chr(97 + number // 20)}{chr(97 + number % 20)}a" for number in range(320)]
    caller = external().say(" ".join(words), 0.3).force()
    assert len(caller.segments) == 2
    assert " ".join(caller.segments).split() == words
    assert max(closing(caller)) <= (LONGEST_PIECE + 2 * RATE) / RATE
    first = next(event for event in caller.told if isinstance(event, events.Final))
    assert (first.end - first.start) <= LONGEST_SEGMENT


def test_a_long_turn_with_pauses_is_decoded_in_pieces() -> None:
    caller = external()
    for number in range(12):
        caller.say(f"sentence {chr(97 + number)}z goes on and on for quite some time here.", 0.7)
    caller.force()
    assert " ".join(caller.segments).count("quite") == 12
    assert len(caller.segments) == 1
    assert max(closing(caller)) < 20


def test_noise_without_words_makes_no_turn() -> None:
    caller = vad()
    loud = np.full(RATE // 2, 0.9, np.float32)  # speech to the detector, no words to the ear
    caller.ear.language.words = []
    caller.ear.deaf = True
    caller.hear(loud * 0 + 0.5, np.zeros(2 * RATE, np.float32)).finish()
    assert caller.story == "SE"


def test_a_decode_of_the_whole_that_finds_nothing_does_not_lose_the_words() -> None:
    caller = external().say("alpha beta gamma delta epsilon zeta eta theta")
    caller.ear.deaf = True
    caller.hear(np.zeros(RATE // 2, np.float32)).force()
    assert caller.segments == ["alpha beta gamma delta epsilon zeta eta theta"]


def test_the_end_of_the_audio_ends_the_turn() -> None:
    caller = vad().say("good").finish()
    assert caller.segments == ["good"]
    assert caller.story.endswith("EpFT")
    assert external().finish().story == ""


def test_a_burst_of_audio_is_the_same_as_audio_in_real_time() -> None:
    caller = external()
    audio = caller.language.say("I said this before the connection broke.", 0.5)
    caller.channel.push(audio)
    caller.force()
    assert caller.segments == ["I said this before the connection broke."]
