"""A live session with a scripted recogniser: what it reports, in which order and with which times (contract `realtime.md` §3–§6).

The "speech" is a signal of constant loudness for each word; the recogniser reads the word from the loudness, so that the tests
need no model and every word is known.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pytest

from sottovoce.audio.activity import Span
from sottovoce.engines.protocols import Capabilities, Hints, LiveHypothesis, LiveWord, Skill
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.session import Diarization, LiveSession
from sottovoce.request import (
    AudioFiltering,
    AudioFormat,
    AudioType,
    Encoding,
    LiveRequest,
    PunctuationOverrides,
)
from sottovoce.transcript.model import RATE, Attaches, Item, Mark, Samples, Word

WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")
WORD: Samples = RATE // 2
RAW = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_F32LE, sample_rate=RATE)
PIECE: Samples = RATE // 10
LEAST: Samples = RATE // 16  # of a word that is heard; what is left of a word before the window is shorter


class Vad:
    """Speech is what is louder than 0.1."""

    frame: Samples = 512

    def __call__(self, audio: Any) -> Any:
        return (np.abs(audio.reshape(-1, self.frame)).mean(axis=1) > 0.1).astype(np.float32)


class Stream:
    """Hears the words of `speech`; *ending* is written after the last word of a closing decode."""

    def __init__(self, ending: str) -> None:
        self.ending = ending
        self.cuts = 0  # the last words that closing decodes lose, if there are more
        self.deaf = False  # so do the others
        self.late = False  # so do the others, up to the first closing decode
        self.mute = False  # before a closing decode, nothing is written after a sentence that has ended
        self.lost = False  # nothing is written without words before
        self.decodes = 0

    def hypothesis(self, audio: Any, committed: Sequence[LiveWord], *, closing: bool) -> LiveHypothesis:
        self.decodes += 1
        codes = np.where(np.abs(audio) > 0.1, np.round((np.abs(audio) - 0.2) * 100), -1).astype(int)
        borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
        heard = [(codes[a], a, b) for a, b in pairwise(borders) if codes[a] >= 0 and b - a > LEAST]
        words = [LiveWord(text=WORDS[code], start=a, end=b, probability=0.9) for code, a, b in heard]
        if closing and words:
            last = words[-1]
            words[-1] = LiveWord(
                text=last.text + self.ending, start=last.start, end=last.end, probability=last.probability
            )
        if (closing or self.deaf or self.late) and self.cuts and len(words) > self.cuts:
            words = words[: -self.cuts]
        self.late = self.late and not closing
        if self.mute and not closing and committed and committed[-1].text.endswith("."):
            words = words[: len(committed)]
        if self.lost and not committed:
            words = []
        return LiveHypothesis(words=tuple(words))

    def whole(self, audio: Any, voiced: Sequence[Span]) -> tuple[LiveWord, ...]:
        del voiced
        return self.hypothesis(audio, (), closing=True).words

    def items(self, words: Sequence[LiveWord]) -> tuple[Item, ...]:
        found: list[Item] = []
        for word in words:
            found.append(Word(text=word.text.rstrip(",."), start=word.start, end=word.end, confidence=0.9))
            if word.text[-1] in ",.":
                found.append(Mark(text=word.text[-1], at=word.end, ends_sentence=word.text[-1] == "."))
        return tuple(found)


class Recognizer:
    """A `LiveRecognizer` that sets marks."""

    capabilities = Capabilities(
        engine="scripted",
        model="scripted-1",
        languages=frozenset({"en"}),
        skills=frozenset({Skill.LIVE}),
        punctuates=True,
    )

    def __init__(self, ending: str = "") -> None:
        self.ending = ending
        self.streams: list[Stream] = []

    def open(self, hints: Hints) -> Stream:
        del hints
        self.streams.append(Stream(self.ending))
        return self.streams[-1]


def speech(*numbers: int) -> Any:
    """The words with these numbers."""
    return np.concatenate([np.full(WORD, 0.2 + number / 100, np.float32) for number in numbers])


def silence(seconds: float) -> Any:
    return np.zeros(round(seconds * RATE), np.float32)


class Run:
    """A session that is fed at the pace of speech; *got* has its events with the audio that was fed before each."""

    def __init__(self, ending: str = "", diarizes: Diarization | None = None, **config: Any) -> None:
        self.got: list[events.Event] = []
        self.recognizer = Recognizer(ending)
        asked = {"language": "en", "audio": RAW, "enable_partials": True, "max_delay": 1.0, "channels": (), **config}
        self.request = LiveRequest(**asked)
        self.fed = 0
        self.session = LiveSession(
            self.request, self.recognizer, Vad, self.heard, lambda: self.fed / RATE, diarization=diarizes
        )

    def heard(self, event: events.Event) -> None:
        self.got.append(event)

    def feed(self, *audio: Any, piece: Samples = PIECE) -> Self:
        whole = np.concatenate(audio)
        for at in range(0, len(whole), piece):
            part = whole[at : at + piece]
            self.fed += len(part)
            self.session.audio(0, part.tobytes())
            self.work()
        return self

    def work(self) -> None:
        while self.session.work():
            pass

    def end(self) -> Self:
        self.session.end(None)
        self.work()
        return self

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.got if isinstance(event, kind)]

    def text(self) -> str:
        return " ".join(item.text for final in self.of(events.Final) for item in final.items)


def heard_kinds(run: Run) -> list[str]:
    return [event.type for event in run.got if not isinstance(event, events.Taken)]


def test_the_model_is_told_when_the_session_opens() -> None:
    assert Run().got == [events.Opened(model="scripted-1")]


@pytest.mark.parametrize("delay", [0.7, 1.0, 2.0, 4.0])
def test_every_final_begins_at_the_end_of_the_one_before_and_is_followed_by_a_partial(delay: float) -> None:
    """§3 rule 5, §5.3, §11.3."""
    run = (
        Run(max_delay=delay).feed(silence(1), speech(0, 1, 2, 3), silence(1.5), speech(4, 5, 6, 7), silence(1.5)).end()
    )
    assert run.text() == " ".join(WORDS)
    finals = run.of(events.Final)
    assert finals[0].start == 0
    assert all(a.end == b.start for a, b in pairwise(finals))
    for event, after in pairwise(event for event in run.got if not isinstance(event, events.Taken)):
        if isinstance(event, events.Final):
            assert isinstance(after, events.Partial)
            assert after.start == event.end


def test_a_partial_covers_the_audio_from_the_last_final_to_the_newest() -> None:
    """§5.3: its end is the audio processed so far, later than the end of its last word."""
    run = Run(max_delay=2.0).feed(silence(0.5), speech(0, 1, 2, 3))
    partials = [each for each in run.of(events.Partial) if each.items]
    assert partials
    assert all(each.end >= each.items[-1].end for each in partials)
    assert run.fed - partials[-1].end < RATE


def test_silence_has_empty_partials_at_the_usual_pace() -> None:
    """§6: one in 0.25–0.5 s of audio, in silence too."""
    run = Run(max_delay=2.0).feed(silence(5))
    ends = [partial.end for partial in run.of(events.Partial)]
    assert 9 <= len(ends) <= 11
    assert all(RATE // 4 <= b - a <= 6 * RATE // 10 for a, b in pairwise(ends))
    assert Run(max_delay=2.0, enable_partials=False).feed(silence(5)).of(events.Partial) == []


def test_a_forced_end_marks_the_final_that_it_makes() -> None:
    """§4.6: a final with `forced`, then a partial, then the end of the utterance."""
    run = Run(max_delay=4.0).feed(silence(0.5), speech(0, 1, 2))
    run.session.force_end(None, None)
    run.work()
    assert [(final.forced, len(final.items)) for final in run.of(events.Final)] == [(True, 3)]
    assert heard_kinds(run)[-3:] == ["final", "partial", "utterance_end"]
    end = run.of(events.UtteranceEnd)[-1]
    assert end.forced
    run.feed(speech(3), silence(1)).end()
    assert [final.forced for final in run.of(events.Final)] == [True, False]
    assert run.of(events.Final)[1].start >= end.at


def test_a_forced_end_ahead_of_the_audio_waits_for_it() -> None:
    """§4.6: *timestamp* may lie ahead of what was processed."""
    run = Run(max_delay=4.0).feed(silence(0.5), speech(0))
    run.session.force_end(0, 3 * RATE)
    run.work()
    assert run.of(events.UtteranceEnd) == []
    run.feed(speech(1), silence(2))
    (end,) = run.of(events.UtteranceEnd)
    assert 3 * RATE - Vad.frame < end.at <= 3 * RATE


@pytest.mark.parametrize("pause", [0.0, 0.3, 0.35, 0.45])
def test_a_forced_end_in_the_past_leaves_the_words_after_it(pause: float) -> None:
    """§4.6: the final has the words up to *timestamp*; those that were spoken since then follow, also if the client was quiet last."""
    run = Run(max_delay=4.0).feed(silence(0.5), speech(0, 1, 2, 3), silence(pause))
    run.session.force_end(None, 3 * RATE // 2)
    run.work()
    run.feed(silence(2), speech(4), silence(1)).end()
    forced = [final for final in run.of(events.Final) if final.forced]
    assert [item.text for final in forced for item in final.items] == ["alpha", "bravo"]
    assert run.text() == "alpha bravo charlie delta echo"


def test_a_forced_end_before_the_utterance_leaves_its_words_at_their_times() -> None:
    """§4.6, §5.3: the audio since then is still there when the next window is decoded."""
    run = Run(max_delay=4.0).feed(silence(1), speech(0, 1))
    run.session.force_end(None, RATE // 5)
    run.work()
    run.feed(speech(2), silence(1)).end()
    items = [item for final in run.of(events.Final) for item in final.items]
    assert [(item.text, item.start / RATE) for item in items] == [("alpha", 1.0), ("bravo", 1.5), ("charlie", 2.0)]


def test_forced_ends_come_in_the_order_of_their_times() -> None:
    """§4.6: one that lies ahead of the audio does not hold up those that do not."""
    run = Run(max_delay=4.0).feed(silence(0.5), speech(0))
    run.session.force_end(None, 3 * RATE)
    run.session.force_end(None, None)
    run.work()
    assert [end.at <= RATE for end in run.of(events.UtteranceEnd)] == [True]
    run.feed(speech(1), silence(2))
    assert [end.at <= RATE for end in run.of(events.UtteranceEnd)] == [True, False]


def test_a_forced_end_in_silence_has_no_final() -> None:
    run = Run().feed(silence(1))
    run.session.force_end(None, None)
    run.work()
    assert run.of(events.Final) == []
    assert [end.forced for end in run.of(events.UtteranceEnd)] == [True]


def test_the_end_of_an_utterance_has_the_mark_of_its_sentence() -> None:
    """§6: a lone mark as a final of its own if the words are final and have none, then an empty partial."""
    run = Run(end_of_utterance_silence_trigger=0.6).feed(silence(0.5), speech(0, 1, 2), silence(2))
    assert run.text() == "alpha bravo charlie ."
    assert heard_kinds(run)[heard_kinds(run).index("utterance_end") - 2 :][:3] == ["final", "partial", "utterance_end"]
    last = run.of(events.Final)[-1]
    assert [(item.text, item.start, item.end) for item in last.items] == [(".", 2 * RATE, 2 * RATE)]
    assert last.items[0].attaches is Attaches.PREVIOUS
    assert len(run.of(events.UtteranceEnd)) == 1, "once per silence"


@pytest.mark.parametrize("ending", [".", ","])
def test_a_mark_of_the_engine_is_enough(ending: str) -> None:
    run = Run(ending, end_of_utterance_silence_trigger=0.6).feed(silence(0.5), speech(0, 1, 2), silence(2))
    assert run.text() == f"alpha bravo charlie {ending}"


def test_words_that_a_closing_decode_leaves_out_are_decoded_again() -> None:
    run = Run(max_delay=4.0)
    run.recognizer.streams[0].cuts = 2
    run.feed(silence(0.5), speech(0, 1, 2, 3), silence(1.5)).end()
    assert run.text() == "alpha bravo charlie delta"


def test_one_short_word_that_a_closing_decode_leaves_out_is_decoded_again() -> None:
    """Sent at once, an utterance may have no decode before its last one."""
    run = Run(max_delay=4.0)
    run.recognizer.streams[0].cuts, run.recognizer.streams[0].late = 1, True
    short = speech(3)[: 2 * RATE // 5]
    run.feed(silence(0.5), speech(0, 1, 2), short, silence(1.5), piece=60 * RATE).end()
    assert run.text() == "alpha bravo charlie delta"


def test_the_end_of_an_utterance_is_decoded_by_itself_if_the_model_does_not_reach_it() -> None:
    """Sent at once, an utterance may have no decode before its last one."""
    run = Run(max_delay=4.0)
    run.recognizer.streams[0].cuts, run.recognizer.streams[0].deaf = 3, True
    run.feed(silence(0.5), speech(*range(6)), silence(1.5), piece=60 * RATE).end()
    assert run.text() == " ".join(WORDS[:6])


def test_an_utterance_is_heard_soon_though_the_model_is_mute_after_the_sentence_before() -> None:
    run = Run(ending=".").feed(speech(0, 1), silence(1.2))
    run.recognizer.streams[0].mute = True
    run.feed(speech(2, 3, 4), speech(5)[: RATE // 5])
    assert any(item.text == "charlie" for partial in run.of(events.Partial) for item in partial.items)


def test_a_short_utterance_that_needs_the_words_before_it_gets_them_back() -> None:
    run = Run(ending=".").feed(speech(0, 1), silence(1.2))
    stream = run.recognizer.streams[0]
    stream.mute = stream.lost = True
    run.feed(speech(2, 3, 4), silence(1.2)).end()
    assert run.text() == "alpha bravo . charlie delta echo ."


def test_a_request_without_marks_gets_none_at_the_end_of_an_utterance() -> None:
    run = Run(end_of_utterance_silence_trigger=0.6, punctuation=PunctuationOverrides(permitted_marks=frozenset()))
    run.feed(silence(0.5), speech(0, 1), silence(2))
    assert run.text() == "alpha bravo"
    assert len(run.of(events.UtteranceEnd)) == 1


def test_the_end_of_the_audio_ends_the_utterance_if_its_end_is_wanted() -> None:
    """§3 rule 6."""
    run = Run(end_of_utterance_silence_trigger=0.6).feed(silence(0.5), speech(0, 1)).end()
    assert heard_kinds(run)[-3:] == ["utterance_end", "ended", "finished"]
    assert "utterance_end" not in heard_kinds(Run().feed(silence(0.5), speech(0, 1)).end())


def test_audio_below_the_threshold_is_silenced_and_words_have_volumes() -> None:
    """§4.3: 0.2 is a volume of 20; words from `echo` on (0.24) are loud enough."""
    run = Run(audio_filtering=AudioFiltering(volume_threshold=23.5)).feed(
        silence(0.5), speech(0, 1), silence(1), speech(4, 5), silence(1)
    )
    run.end()
    assert run.text() == "echo foxtrot"
    words = [item for final in run.of(events.Final) for item in final.items]
    assert [round(getattr(item, "volume", 0) or 0) for item in words] == [24, 25]


def test_filtering_may_begin_and_change_while_the_session_runs() -> None:
    """§4.6."""
    run = Run().feed(silence(0.5), speech(0), silence(1.5))
    words = [item for final in run.of(events.Final) for item in final.items]
    assert [getattr(item, "volume", None) for item in words] == [None]
    run.session.configure(
        LiveRequest(**{**_fields(run.request), "audio_filtering": AudioFiltering(volume_threshold=50)})
    )
    run.feed(speech(1), silence(1.5))
    assert run.text() == "alpha"
    run.session.configure(LiveRequest(**{**_fields(run.request), "audio_filtering": AudioFiltering()}))
    run.feed(speech(2), silence(1.5)).end()
    assert run.text() == "alpha charlie"
    last = run.of(events.Final)[-1].items[0]
    assert isinstance(last, Word)
    assert last.volume == pytest.approx(22, abs=1)


def _fields(request: LiveRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in LiveRequest.__dataclass_fields__}


def test_work_is_counted_and_decodes_are_skipped_only_behind_real_time() -> None:
    run = Run(max_delay=2.0).feed(silence(0.5), speech(*range(8)), silence(1))
    work = run.session.worked()
    assert work.audio >= run.fed - 2 * Vad.frame
    assert work.decodes == run.recognizer.streams[0].decodes
    assert work.skipped == 0
    assert run.session.worked().decodes == 0, "only what was done since"

    fast = Run(max_delay=2.0).feed(silence(0.5), speech(*range(8)), silence(1), piece=60 * RATE)
    assert fast.session.worked().skipped > 0
    assert fast.end().text() == run.end().text() == " ".join(WORDS)
