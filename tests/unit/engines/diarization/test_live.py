"""The live diarizer: labels of the recordings with known turns, what never changes, enrolled speakers, and bounded memory."""

from base64 import urlsafe_b64decode
from itertools import pairwise

import numpy as np
import pytest

from bench import live_speakers
from bench.conversations import Conversation, fixtures
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.diarization.gaussian.live import LiveGaussianDiarizer
from sottovoce.engines.protocols import LiveDiarizationHints
from sottovoce.pipeline.live.speakers import SpeakerTrack
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Mark, Word


@pytest.fixture(scope="module")
def talks() -> dict[str, Conversation]:
    return {each.name: each for each in fixtures()}


def tracked(
    conversation: Conversation, hints: LiveDiarizationHints, delay: float = 2.0
) -> tuple[SpeakerTrack, list[str]]:
    """The track after *conversation*, and the labels of its words, each final *delay* seconds later."""
    track, vad = SpeakerTrack(LiveGaussianDiarizer(hints)), SileroVad()
    words = live_speakers.words(conversation.told)
    labels: list[str] = []
    audio = np.pad(conversation.audio, (0, -len(conversation.audio) % vad.frame))
    for start in range(0, len(audio), vad.frame):
        part = audio[start : start + vad.frame]
        track.hear(part, [(start, vad(part)[0])], vad.frame)
        while len(labels) < len(words) and words[len(labels)].end + delay <= start / RATE:
            word = words[len(labels)]
            labels.append(track.settled(round(word.start * RATE), round(word.end * RATE)))
    rest = words[len(labels) :]
    labels += [track.settled(round(word.start * RATE), round(word.end * RATE)) for word in rest]
    return track, labels


@pytest.mark.parametrize(("name", "speakers"), [("conversation_2", 2), ("conversation_3", 3), ("conversation_4", 4)])
def test_the_words_of_a_conversation_get_their_speakers(talks, name, speakers):
    _, labels = tracked(talks[name], LiveDiarizationHints())
    assert list(dict.fromkeys(labels)) == [f"S{number}" for number in range(1, speakers + 1)]
    assert live_speakers.confusion(live_speakers.words(talks[name].told), labels) < 0.06


def test_at_most_max_speakers_are_found(talks):
    _, labels = tracked(talks["conversation_4"], LiveDiarizationHints(max_speakers=2))
    assert set(labels) == {"S1", "S2"}


def test_an_enrolled_speaker_keeps_the_name_in_another_session(talks):
    first, labels = tracked(talks["conversation_2"], LiveDiarizationHints())
    prints = {speaker.label: urlsafe_b64decode(speaker.prints[0]) for speaker in first.speakers()}
    assert set(prints) == {"S1", "S2"}
    known = (("anna", prints["S1"]), ("nobody", b"no print"))
    again, named = tracked(talks["conversation_2"], LiveDiarizationHints(known=known))
    pairs = set(zip(labels, named, strict=True))
    assert ("S1", "anna") in pairs
    assert ("S2", "S1") in pairs  # the others are numbered without gaps
    assert [speaker.label for speaker in again.speakers()][:1] == ["anna"]


def test_without_speech_the_speaker_is_unknown_and_there_are_no_speakers():
    diarizer = LiveGaussianDiarizer(LiveDiarizationHints())
    assert diarizer.labels([(0, RATE)], final=True) == (UNKNOWN_SPEAKER,)
    assert diarizer.speakers() == ()


def test_a_word_in_a_pause_gets_the_speaker_before_it(talks):
    track, labels = tracked(talks["conversation_2"], LiveDiarizationHints())
    end = len(talks["conversation_2"].audio)
    assert track.settled(end + 3 * RATE, end + 4 * RATE) == labels[-1]


def test_looking_at_a_word_does_not_number_its_speaker(talks):
    diarizer = LiveGaussianDiarizer(LiveDiarizationHints())
    diarizer.push(talks["conversation_2"].audio[: 3 * RATE], 0)
    assert diarizer.labels([(RATE, 2 * RATE)], final=False) == ("S1",)
    assert diarizer.speakers() == ()
    assert diarizer.labels([(RATE, 2 * RATE)], final=True) == ("S1",)
    assert [speaker.label for speaker in diarizer.speakers()] == ["S1"]


def test_new_speakers_are_numbered_by_first_word_also_while_words_may_change(talks):
    conversation = talks["conversation_3"]
    diarizer = LiveGaussianDiarizer(LiveDiarizationHints())
    diarizer.push(conversation.audio, 0)
    words = [(round(word.start * RATE), round(word.end * RATE)) for word in live_speakers.words(conversation.told)]
    shown = diarizer.labels(words, final=False)
    numbers = list(dict.fromkeys(shown))
    assert len(numbers) >= 2
    assert numbers == [f"S{number}" for number in range(1, len(numbers) + 1)]
    assert diarizer.speakers() == ()
    assert diarizer.labels(words, final=True) == shown


def test_marks_have_the_speaker_of_their_word(talks):
    track, _ = tracked(talks["conversation_2"], LiveDiarizationHints())
    word = Word(text="yes", start=RATE, end=2 * RATE)
    items = track.labelled((word, Mark(text=".", at=2 * RATE)), final=False)
    assert items[0].speaker == items[1].speaker != UNKNOWN_SPEAKER


def test_memory_does_not_grow_with_the_session(talks):
    diarizer = LiveGaussianDiarizer(LiveDiarizationHints())
    speech = talks["conversation_3"].audio
    sizes, at = [], 0
    for _ in range(9):
        diarizer.push(speech, at)
        at += len(speech)
        diarizer.labels([(at - 5 * RATE, at - 4 * RATE)], final=True)
        sizes.append(sum(len(stretch) for stretch in diarizer._window))
    assert max(sizes) < 6_000 + 500 + len(speech) // 160
    assert all(after <= before + len(speech) // 160 + 1 for before, after in pairwise(sizes))
    assert all(len(voice.exemplars) <= 800 for voice in diarizer._voices)
