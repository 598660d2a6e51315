"""Speakers of live words with a scripted diarizer: finals wait until their speakers are certain, and keep them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from sottovoce.engines.protocols import Capabilities, LiveDiarizationHints, Skill
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.labelling import Holding, LabelledFinals
from sottovoce.pipeline.live.session import Diarization as SessionDiarization
from sottovoce.pipeline.live.speakers import SpeakerTrack
from sottovoce.request import Diarization, SpeakerDiarization
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Attaches, Mark, Samples, Speaker, SpeakerLabel, Word
from tests.unit.pipeline.test_live_channel import WORDS, Run, silence, speech

FIRST = 4
"""The number of the first word of the second speaker."""


class Voices:
    """A `LiveDiarizer` that knows a speaker after *needed* samples of speech: words from `echo` on are of the second one."""

    def __init__(self, hints: LiveDiarizationHints, needed: Samples) -> None:
        self.hints = hints
        self.needed = needed
        self.heard: list[tuple[Samples, Any]] = []
        self.known: Samples = 0
        self.said: dict[SpeakerLabel, None] = {}

    def push(self, audio: Any, start: Samples) -> None:
        self.heard.append((start, audio))
        self.known = start + len(audio)

    def labels(self, words: Sequence[tuple[Samples, Samples]], *, final: bool) -> tuple[SpeakerLabel, ...]:
        found = tuple(self._label(start, end) for start, end in words)
        if final:
            self.said |= dict.fromkeys(found)
        return found

    def _label(self, start: Samples, end: Samples) -> SpeakerLabel:
        if self.known < end + self.needed:
            return UNKNOWN_SPEAKER
        loud = next(audio for at, audio in reversed(self.heard) if at <= (start + end) // 2)
        return f"S{1 + int(np.abs(loud).max() > 0.195 + FIRST / 100)}"

    def speakers(self) -> tuple[Speaker, ...]:
        return tuple(Speaker(label=label, prints=("cHJpbnQ",)) for label in self.said)


class Engine:
    """A `LiveDiarizers`."""

    capabilities = Capabilities(
        engine="scripted", model="", languages=frozenset(), skills=frozenset({Skill.LIVE_DIARIZATION})
    )

    def __init__(self, needed: float) -> None:
        self.needed = round(needed * RATE)
        self.opened: list[Voices] = []

    def open(self, hints: LiveDiarizationHints) -> Voices:
        self.opened.append(Voices(hints, self.needed))
        return self.opened[-1]


class Talk(Run):
    """A session with speakers."""

    def __init__(self, needed: float = 0.0, known: tuple[KnownVoice, ...] = (), **config: Any) -> None:
        self.engine = Engine(needed)
        diarization = SessionDiarization(engine=self.engine, known=known)
        self.at: list[tuple[events.Event, Samples]] = []
        super().__init__(diarizes=diarization, **({"diarization": Diarization.SPEAKER} | config))

    def heard(self, event: events.Event) -> None:
        super().heard(event)
        self.at.append((event, self.fed))

    def said(self) -> list[tuple[str, str | None]]:
        return [(item.text, item.speaker) for final in self.of(events.Final) for item in final.items]


TALK = (silence(0.5), speech(*range(8)))
LABELLED = [(word, "S1" if number < FIRST else "S2") for number, word in enumerate(WORDS)]


@pytest.mark.parametrize(("delay", "needed"), [(4.0, 1.9), (2.0, 1.2), (1.0, 0.2), (0.7, 0.0)])
def test_finals_wait_until_their_speakers_are_certain_and_not_beyond_max_delay(delay: float, needed: float) -> None:
    run = Talk(needed, max_delay=delay).feed(*TALK, speech(7, 7, 7, 7, 7))
    said = run.said()
    assert said[:8] == LABELLED[: len(said[:8])]
    assert len(said) >= 5
    for event, fed in run.at:
        if isinstance(event, events.Final):
            assert all(fed - item.end <= delay * RATE for item in event.items)
            assert all(fed - item.end >= needed * RATE for item in event.items)


def test_words_whose_finals_wait_are_in_the_partials() -> None:
    """§5.3: a partial begins at the end of the last final that the client has."""
    run = Talk(1.9, max_delay=4.0).feed(*TALK, silence(0.8))
    shown = run.of(events.Partial)[-1]
    finals = run.of(events.Final)
    assert [item.text for item in shown.items] == list(WORDS[len(run.said()) :])
    assert len(shown.items) > 1
    assert shown.start == (finals[-1].end if finals else 0)
    assert run.fed - shown.end < RATE
    assert all(item.speaker for item in shown.items)


@pytest.mark.parametrize("delay", [0.7, 1.0, 2.0, 4.0])
def test_finals_follow_each_other_and_have_partials_after_them(delay: float) -> None:
    """§3 rule 5, §5.3."""
    run = Talk(max_delay=delay).feed(silence(1), speech(0, 1, 2, 3), silence(1.5), speech(4, 5, 6, 7), silence(4)).end()
    assert run.said() == LABELLED
    finals = run.of(events.Final)
    assert finals[0].start == 0
    assert all(a.end == b.start for a, b in pairwise(finals))
    for event, after in pairwise(event for event in run.got if not isinstance(event, events.Taken)):
        if isinstance(event, events.Final):
            assert isinstance(after, events.Partial)
            assert after.start == event.end


def test_a_long_final_is_divided_so_that_its_first_words_are_not_late() -> None:
    run = Talk(max_delay=4.0, enable_partials=False).feed(silence(0.5), speech(0, 1, 2, 3, 4, 5), silence(4))
    finals = run.of(events.Final)
    assert [item.text for final in finals for item in final.items] == list(WORDS[:6])
    assert len(finals) > 1
    assert run.of(events.Partial) == []
    assert all(fed - event.items[0].end <= 4 * RATE for event, fed in run.at if isinstance(event, events.Final))


def test_a_forced_end_has_one_final_with_all_words() -> None:
    """§4.6: the words up to now, at once."""
    run = Talk(max_delay=4.0).feed(*TALK, silence(0.8))
    before = len(run.of(events.Final))
    run.session.force_end(None, None)
    run.work()
    last = [event.type for event in run.got if not isinstance(event, events.Taken)][-3:]
    assert last == ["final", "partial", "utterance_end"]
    assert [final.forced for final in run.of(events.Final)[before:]] == [True]
    assert run.said() == LABELLED
    assert run.of(events.Partial)[-1].items == ()


def test_an_utterance_ends_after_its_words() -> None:
    """§3 rule 5."""
    run = Talk(max_delay=4.0, end_of_utterance_silence_trigger=0.6).feed(*TALK, silence(1.2))
    kinds = [event.type for event in run.got]
    assert run.text() == " ".join(WORDS) + " ."
    assert kinds.count("utterance_end") == 1
    assert "final" not in kinds[kinds.index("utterance_end") :]


def test_the_end_of_the_audio_passes_on_what_is_held_and_the_speakers_come_last() -> None:
    run = Talk(max_delay=4.0).feed(*TALK).end()
    assert run.said() == LABELLED
    assert [event.type for event in run.got][-3:] == ["ended", "speakers", "finished"]
    (speakers,) = run.of(events.Speakers)
    assert speakers.final
    assert [each.label for each in speakers.speakers] == ["S1", "S2"]


def test_speakers_are_reported_on_request() -> None:
    run = Talk(max_delay=1.0).feed(silence(0.5), speech(0, 1, 2), silence(2))
    run.session.report_speakers()
    (speakers,) = run.of(events.Speakers)
    assert (speakers.final, [each.label for each in speakers.speakers]) == (False, ["S1"])
    plain = Run()
    plain.session.report_speakers()
    assert plain.got[-1] == events.Speakers(speakers=())
    assert plain.end().of(events.Speakers) == [events.Speakers(speakers=())]


def test_the_diarizer_gets_the_settings_and_the_known_voices() -> None:
    wanted = SpeakerDiarization(speaker_sensitivity=0.7, prefer_current_speaker=True, max_speakers=3)
    run = Talk(known=(KnownVoice(label="Ada", prints=(b"one", b"two")),), speaker_diarization=wanted)
    assert run.engine.opened[0].hints == LiveDiarizationHints(
        sensitivity=0.7, prefer_current=True, max_speakers=3, known=(("Ada", b"one"), ("Ada", b"two"))
    )


def test_each_channel_has_speakers_of_its_own() -> None:
    run = Talk(max_delay=1.0, diarization=Diarization.CHANNEL_AND_SPEAKER, channels=("left", "right"))
    for part in (silence(0.5), speech(0, 1)):
        run.session.audio(0, part.tobytes())
    for part in (silence(0.5), speech(4, 5)):
        run.session.audio(1, part.tobytes())
    run.end()
    assert len(run.engine.opened) == 2
    of_channel = [
        [(item.text, item.speaker) for final in run.of(events.Final) if final.channel == number for item in final.items]
        for number in (0, 1)
    ]
    assert of_channel == [LABELLED[:2], LABELLED[4:6]]
    assert [each.label for each in run.of(events.Speakers)[-1].speakers] == ["S1", "S2"]


def test_a_change_of_max_delay_changes_the_waiting() -> None:
    run = Talk(max_delay=4.0, diarization=Diarization.SPEAKER)
    fields = {name: getattr(run.request, name) for name in run.request.__dataclass_fields__}
    run.session.configure(type(run.request)(**{**fields, "max_delay": 0.7}))
    run.feed(silence(0.5), speech(0, 1), silence(0.6))
    assert run.said() == LABELLED[:2]


def test_a_word_of_another_voice_in_a_sentence_is_corrected() -> None:
    """As in batch (contract `batch-v2.md` §7.4), where enough of the sentence is known; its speaker is not reported."""
    run = Talk(max_delay=4.0).feed(silence(0.5), speech(0, 1, 2, 4, 0, 1, 2, 3), silence(4)).end()
    assert [text for text, _ in run.said()] == [WORDS[number] for number in (0, 1, 2, 4, 0, 1, 2, 3)]
    assert {speaker for _, speaker in run.said()} == {"S1"}
    assert [each.label for each in run.of(events.Speakers)[-1].speakers] == ["S1"]


def test_a_speaker_who_goes_on_is_not_corrected() -> None:
    """The first words of another speaker are few at first."""
    run = (
        Talk(max_delay=4.0).feed(silence(0.5), speech(0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7), silence(4)).end()
    )
    assert [speaker for _, speaker in run.said()] == ["S1"] * 8 + ["S2"] * 8


def test_without_a_mode_of_speakers_nothing_waits() -> None:
    run = Talk(max_delay=4.0, diarization=Diarization.NONE).feed(silence(0.5), speech(0, 1), silence(0.8))
    assert run.engine.opened == []
    assert run.said() == [("alpha", None), ("bravo", None)]


def test_a_final_does_not_end_between_a_mark_and_its_word() -> None:
    got: list[events.Event] = []
    holding = Holding(time=RATE, step=0, partials=False)
    finals = LabelledFinals(0, SpeakerTrack(Engine(0).open(LiveDiarizationHints())), got.append, holding)

    def word(text: str, start: float, end: float) -> Word:
        return Word(text=text, start=round(start * RATE), end=round(end * RATE))

    items = (
        word("he", 0, 0.5),
        Mark(text=",", at=RATE // 2),
        Mark(text="«", at=RATE // 2, attaches=Attaches.NEXT),
        word("yes", 0.5, 1),
    )
    finals.emit(events.Final(channel=0, start=0, end=RATE, items=items))
    assert got == []
    quiet = np.zeros(RATE // 10, np.float32)
    for tenth in range(21):
        finals.hear(quiet, [(tenth * RATE // 10, 0.0)], RATE // 10)
    said = [[item.text for item in event.items] for event in got if isinstance(event, events.Final)]
    assert said == [["he", ","], ["«", "yes"]]
