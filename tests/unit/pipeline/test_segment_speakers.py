"""Segments of several speakers (contract `agent-stt.md` §4), with scripted words and voices."""

from collections.abc import Sequence
from typing import Any

import pytest

from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.speakers import SpeakerTrack, by_speaker, change
from sottovoce.request import TurnDetection, Turns
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Item, Mark, Samples, Speaker, SpeakerLabel, Word
from tests.unit.pipeline.spoken import WORD
from tests.unit.pipeline.test_segments import Caller

LONG = "we should go to the harbour and look at all of the old boats there"


class Voices:
    """A `LiveDiarizer` that knows who speaks: *turns* are beginnings in seconds and names. New names are numbered."""

    def __init__(self, *turns: tuple[float, str]) -> None:
        self.turns = turns
        self.numbers: dict[str, SpeakerLabel] = {}

    def push(self, audio: Any, start: Samples) -> None:
        del audio, start

    def labels(self, words: Sequence[tuple[Samples, Samples]], *, final: bool) -> tuple[SpeakerLabel, ...]:
        numbers = self.numbers if final else dict(self.numbers)
        names = [[name for begin, name in self.turns if begin * RATE <= (start + end) // 2][-1] for start, end in words]
        return tuple(numbers.setdefault(name, f"S{len(numbers) + 1}") for name in names)

    def speakers(self) -> tuple[Speaker, ...]:
        return tuple(Speaker(label=label) for label in self.numbers.values())


def caller(*turns: tuple[float, str], detection: TurnDetection = TurnDetection.VAD) -> Caller:
    return Caller(Turns(detection=detection), speakers=SpeakerTrack(Voices(*turns)))


def segments(found: Caller) -> list[tuple[str, str | None]]:
    """Text and speaker of each segment; none has two."""
    told = [event for event in found.told if isinstance(event, events.Final)]
    for event in told:
        assert len({item.speaker for item in event.items}) == 1
        assert event.start <= event.items[0].start
        assert event.items[-1].end <= event.end
    return [(join(event.items, pack("en")), event.items[0].speaker) for event in told]


def kinds(found: Caller) -> list[str]:
    return [event.type for event in found.told]


def test_a_turn_of_two_speakers_has_a_segment_of_each() -> None:
    found = caller((0, "a"), (2.0, "b")).say("we should go to the harbour and look at boats.", pause=2)
    assert [speaker for _, speaker in segments(found)] == ["S1", "S2"]
    assert " ".join(text for text, _ in segments(found)) == "we should go to the harbour and look at boats."
    assert kinds(found).count("utterance_end") == 1


def test_a_segment_ends_while_the_other_speaker_goes_on() -> None:
    """§4: at a change of speaker; the partials after it are of the other one alone."""
    found = caller((0, "a"), (2.0, "b")).say(LONG)
    assert segments(found)[:1] == [("we should go to the", "S1")]
    shown = [event for event in found.told if isinstance(event, events.Partial)][-1]
    assert {item.speaker for item in shown.items} == {"S2"}
    assert join(shown.items, pack("en")).startswith("harbour and")
    found.finish()
    assert segments(found)[1][1] == "S2"
    assert " ".join(text for text, _ in segments(found)) == LONG


def test_a_change_between_pieces_ends_the_segment_too() -> None:
    """With `external`, a pause ends no turn: what was said before it belongs to a finished piece."""
    found = caller((0, "a"), (3.0, "b"), detection=TurnDetection.EXTERNAL)
    found.say("we should go.", pause=2.2).say(LONG)
    assert segments(found) == [("we should go.", "S1")]
    found.force()
    assert segments(found)[1:] == [(LONG, "S2")]


def test_some_words_of_another_voice_in_a_sentence_are_corrected_as_in_batch() -> None:
    """The number of the speaker that was corrected away is free again."""
    found = caller((0, "a"), (2.0, "noise"), (2.4, "a")).say(f"{LONG}.", pause=2).finish()
    assert segments(found) == [(f"{LONG}.", "S1")]
    again = caller((0, "a"), (2.0, "noise"), (2.4, "a"), (7.5, "b"))
    again.say(f"{LONG}.", pause=2.5).say("yes we should.", pause=2).finish()
    assert [speaker for _, speaker in segments(again)] == ["S1", "S2"]


def test_without_speakers_a_turn_is_one_segment() -> None:
    found = Caller(Turns()).say("we should go to the harbour.", pause=2)
    assert [text for text, _ in segments(found)] == ["we should go to the harbour."]


@pytest.mark.parametrize(
    ("labels", "newest", "first"),
    [
        ("aaaaa", 9, None),
        ("aaabbb", 9, 3),
        ("aaabbb", 3.1, None),  # not certain yet
        ("aaabaaa", 9, None),  # a remark
        ("aaabab", 9, None),
        ("aaababbb", 9, 5),
        ("abbb", 9, None),  # the first word alone may be wrong
        ("aaabbbccc", 9, 3),
    ],
)
def test_a_change_is_certain_after_two_seconds_and_more_than_a_remark(
    labels: str, newest: float, first: int | None
) -> None:
    words = [(number * WORD, (number + 1) * WORD) for number in range(len(labels))]
    assert change(words, labels, round(newest * RATE)) == first


def test_items_are_divided_where_the_speaker_changes() -> None:
    def word(at: int, speaker: str) -> Item:
        return Word(text="x", start=at, end=at + 1, speaker=speaker)

    stop = Mark(text=".", at=2, speaker="S1")
    assert by_speaker([word(0, "S1"), stop, word(2, UNKNOWN_SPEAKER), word(3, "S1")]) == [
        (word(0, "S1"), stop),
        (word(2, UNKNOWN_SPEAKER),),
        (word(3, "S1"),),
    ]
    assert by_speaker([]) == []
