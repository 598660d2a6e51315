"""Entities of a live channel: which finals they come in, and what partials show of them. The engine is a script."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sottovoce.engines.protocols import LiveHypothesis, LiveWord
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.channel import ChannelParts, LiveChannel
from sottovoce.pipeline.live.formatting import LiveFormatter
from sottovoce.pipeline.live.policy import policy_of
from sottovoce.request import AudioFormat, AudioType, LiveRequest, MaxDelayMode, Replacement
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Entity, Item, Mark, Samples, Word

Floats = NDArray[np.float32]
STEP = RATE // 10  # samples that are sent at once
PACE = RATE * 45 // 100  # a word each 0.45 s, of 0.35 s


def script(text: str) -> list[LiveWord]:
    """*text* with a word every 0.45 s; `|` is a pause of 0.6 s."""
    found: list[LiveWord] = []
    at: Samples = RATE // 2
    for word in text.split():
        if word == "|":
            at += RATE * 6 // 10
            continue
        found.append(LiveWord(text=word, start=at, end=at + PACE - STEP, probability=0.9))
        at += PACE
    return found


@dataclass(kw_only=True)
class Room:
    """The audio of a script: each sample is its own number in seconds, so that detector and engine know where they are."""

    words: list[LiveWord]
    stops: bool = False  # each hypothesis ends with a full stop, as Whisper's do
    frame: Samples = 512
    heard: Samples = 0
    got: list[events.Event] = field(default_factory=list)

    def __call__(self, audio: Floats) -> Floats:
        """The speech detector."""
        starts = [self.heard + at for at in range(0, len(audio), self.frame)]
        self.heard += len(audio)
        spoken = [any(word.start < start + self.frame and start < word.end for word in self.words) for start in starts]
        return np.array(spoken, np.float32)

    def hypothesis(self, audio: Floats, committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        """The words whose beginning the engine has heard; the last may be cut."""
        start = round(float(audio[0]) * RATE)
        heard = [word for word in self.words if start <= word.start and word.start + PACE // 2 <= start + len(audio)]
        if self.stops and heard:
            heard[-1] = replace(heard[-1], text=heard[-1].text + ".")
        placed = [replace(word, start=word.start - start, end=min(word.end - start, len(audio))) for word in heard]
        assert [word.text.strip(".") for word in placed[: len(committed)]] == [
            word.text.strip(".") for word in committed
        ]
        return LiveHypothesis(words=tuple(placed))

    def whole(self, audio: Floats, voiced: Sequence[object]) -> tuple[LiveWord, ...]:
        """The words of a segment of the Agent API, which these sessions have none of."""
        raise AssertionError(len(audio), voiced)

    def items(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        found: list[Item] = []
        for word in words:
            found.append(Word(text=word.text.strip("."), start=word.start, end=word.end, language="en"))
            if word.text.endswith("."):
                found.append(Mark(text=".", at=word.end, ends_sentence=True, language="en"))
        return tuple(found)


def listen(text: str, *, stops: bool = False, **asked: Any) -> list[events.Event]:
    """The events of a session in which *text* is said."""
    asked = {"enable_entities": True, "enable_partials": True, **asked}
    request = LiveRequest(language="en", audio=AudioFormat(type=AudioType.FILE), **asked)
    room = Room(words=script(text), stops=stops)

    def failed(name: str, error: Exception) -> None:
        raise AssertionError(name) from error

    formatter = LiveFormatter(request, pack("en"), punctuated=True, volume=None, failed=failed)
    parts = ChannelParts(
        number=0, stream=room, vad=room, formatter=formatter, volume=None, partials=True, emit=room.got.append,
        clock=lambda: 0.0,
    )  # fmt: skip
    channel = LiveChannel(parts, policy_of(request))
    channel.configure(policy_of(request), partials=True)  # as SetRecognitionConfig does
    time = (np.arange(room.words[-1].end + 2 * RATE) / RATE).astype(np.float32)
    for at in range(0, len(time), STEP):
        channel.push(time[at : at + STEP])
        while channel.work():
            pass
    channel.finish()
    channel.work()
    return room.got


def finals(got: list[events.Event]) -> list[events.Final]:
    return [event for event in got if isinstance(event, events.Final)]


def entities(got: list[events.Event]) -> list[Entity]:
    return [item for final in finals(got) for item in final.items if isinstance(item, Entity)]


CARD = "my card is four two four two | four two four two | four two four two | four two four two and that is all i have"
PHONE = "please call eight hundred | five five five | one two one two as soon as you can"
MONEY = "they paid two hundred and fifty million three hundred and twelve thousand dollars for it in the end"


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("max_delay", [0.7, 2.0, 4.0])
@pytest.mark.parametrize(
    ("text", "written"),
    [(CARD, "4242 4242 4242 4242"), (PHONE, "(800) 555-1212"), (MONEY, "$250,312,000")],
    ids=["card", "phone", "money"],
)
def test_an_entity_is_in_one_final(text: str, written: str, max_delay: float, stops: bool) -> None:
    got = listen(text, max_delay=max_delay, stops=stops)
    assert [entity.text for entity in entities(got)] == [written]
    (entity,) = entities(got)
    said = [word.text for word in entity.spoken]
    assert " ".join(said) in text.replace("| ", "")
    assert (entity.start, entity.end) == (entity.spoken[0].start, entity.spoken[-1].end)
    shown = [final for final in finals(got) if final.items]
    assert all(one.end <= other.start for one, other in pairwise(shown))


def test_fixed_mode_keeps_the_delay_and_may_divide_an_entity() -> None:
    got = listen(CARD, max_delay=2.0, max_delay_mode=MaxDelayMode.FIXED)
    assert len(entities(got)) > 1
    digits = "".join(item.text for final in finals(got) for item in final.items if isinstance(item, Entity))
    assert digits.replace(" ", "").startswith("424")


def test_partials_show_the_running_form() -> None:
    got = listen("it costs twenty five dollars in all", max_delay=4.0)
    shown = [" ".join(item.text for item in event.items) for event in got if isinstance(event, events.Partial)]
    assert [text for text in shown if text.startswith("it costs $25")]
    assert "it costs twenty five" not in " ".join(shown)
    assert any(text.endswith(("it costs 20", "it costs 25")) for text in shown)


def test_without_entities_the_written_words_are_final() -> None:
    got = listen("they paid two million dollars for it", enable_entities=False)
    words = [item.text for final in finals(got) for item in final.items]
    assert words == ["they", "paid", "$2", "million", "for", "it"]
    assert not entities(got)


def test_replacements_work_on_the_words_of_finals() -> None:
    got = listen("they paid twenty dollars for it", replacements=(Replacement(source="paid", target="gave"),))
    assert [item.text for final in finals(got) for item in final.items] == ["they", "gave", "$20", "for", "it"]
