"""Alignment from a recording and a text to times: whatever was left out, added, mumbled, or is another text altogether."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.errors import Kind, MediaUnreadable, Refused
from sottovoce.pipeline import alignment, windows
from sottovoce.transcript import marked_text
from sottovoce.transcript.alignment import Alignment
from sottovoce.transcript.model import RATE, Word, samples
from tests.unit.pipeline.test_batch import FIXTURES, Notebook, VadFactory
from tests.unit.pipeline.test_segment_alignment import Said, Script, record, talk

LINES = tuple(" ".join(f"{letter}{number}" for number in range(12)) for letter in "abcdefghijklmnopqrstuvwxyz")
"""Sentences without a word in common; each takes not quite five seconds."""


class Prompter:
    """An `Aligner` whose readings know what is said."""

    def __init__(self, said: Sequence[Said], *, places: bool = True) -> None:
        self._said = said
        self._places = places
        self.readings: list[Script] = []

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            engine="prompter", model="own", languages=frozenset({"en"}), skills=frozenset({Skill.ALIGNMENT})
        )

    def read(self, words: Sequence[str], language: str) -> Script:
        assert language == "en"
        self.readings.append(Script(words, self._said, places=self._places))
        return self.readings[-1]


class Studio:
    """Records what is *said* and aligns texts to it."""

    def __init__(self, folder: Path, said: Sequence[Said], seconds: float, *, places: bool = True) -> None:
        self.said = said
        self.aligner = Prompter(said, places=places)
        self.notebook = Notebook()
        self.path = record(folder / "said.wav", said, seconds)

    def align(self, text: str, kept: Sequence[windows.Window] = ()) -> Alignment:
        self.notebook = Notebook()
        words = tuple(marked_text.words(text))
        work = alignment.Work(path=self.path, words=words, language="en", clock=lambda: 7, windows=kept)
        found = alignment.align(work, self.aligner, VadFactory, self.notebook)
        assert [(word.first, word.last) for word in found.words] == [(word.first, word.last) for word in words]
        flat = [time for word in found.words for time in (word.start, word.end)]
        assert flat == sorted(flat)
        assert all(0 <= time <= found.duration for time in flat)
        return found

    def refused(self, text: str) -> str:
        with pytest.raises(Refused) as caught:
            self.align(text)
        assert caught.value.kind is Kind.INVALID_TEXT
        return caught.value.why


@pytest.fixture
def studio(tmp_path):
    def make(said: Sequence[Said], seconds: float = 30, *, places: bool = True) -> Studio:
        return Studio(tmp_path, said, seconds, places=places)

    return make


def lines(numbers: Sequence[int], start: float = 1, every: float = 6) -> list[Said]:
    """Sentences one after the other, with pauses."""
    return [word for nth, number in enumerate(numbers) for word in talk(LINES[number], start + nth * every)]


def text_of(*numbers: int) -> str:
    return "\n".join(LINES[number] for number in numbers)


def times(found: Alignment) -> list[tuple[int, int]]:
    return [(word.start, word.end) for word in found.words]


# ── what is said as it is written ──


def test_every_word_gets_the_time_at_which_it_is_said(studio):
    said = lines(range(10))
    sut = studio(said, 62)
    found = sut.align(text_of(*range(10)))
    assert times(found) == [(word.start, word.end) for word in said]
    assert found.coverage == 1.0
    assert (found.language, found.duration, found.created_at, found.engine) == ("en", 62 * RATE, 7, "prompter own")
    assert sut.notebook.probes == 1


def test_markup_and_what_nobody_says_takes_no_time(studio):
    said = talk("one two three", 1)
    found = studio(said).align("<b>One</b> — two, ... <!-- four > five --> three!")
    assert [word.end - word.start for word in found.words] == [4_800, 0, 4_800, 0, 4_800]
    assert found.words[1].start == said[0].end
    assert found.coverage == 1.0


def test_progress_never_falls_and_ends_within_twice_the_audio(studio):
    said = [*lines(range(4)), *talk("mumbled", 24.5, clear=False), *lines(range(4, 10), start=25)]
    sut = studio(said, 70)
    sut.align("\n".join([text_of(0, 1, 2, 3), "mumbled", text_of(*range(4, 10))]))
    assert sut.notebook.heard == sorted(sut.notebook.heard)
    assert sut.notebook.heard[-1] <= 2 * 70 * RATE


# ── what is not ──


def test_words_that_were_dropped_are_bridged_between_their_neighbours(studio):
    said = lines(range(4))
    sut = studio([word for word in said if word.text not in {"b4", "b5", "c0", "d11"}])
    found = sut.align(text_of(0, 1, 2, 3))
    for number, (word, spoken) in enumerate(zip(found.words, said, strict=True)):
        if spoken.text in {"b4", "b5", "c0", "d11"}:
            assert word.bridged
            assert found.words[number - 1].end <= word.start
        else:
            assert (word.start, word.end, word.bridged) == (spoken.start, spoken.end, False)
    assert found.coverage == pytest.approx(44 / 48)


def test_a_whole_sentence_that_was_dropped_drags_nothing(studio):
    said = lines([0, 1, 3, 4])
    found = studio(said).align(text_of(0, 1, 2, 3, 4))
    assert times(found)[:24] == [(word.start, word.end) for word in said[:24]]
    assert times(found)[36:] == [(word.start, word.end) for word in said[24:]]
    assert [word.bridged for word in found.words] == [False] * 24 + [True] * 12 + [False] * 24


def test_words_that_were_mumbled_are_found(studio):
    said = [replace(word, clear=word.text not in {"a0", "b5", "b6", "d11"}) for word in lines(range(4))]
    found = studio(said).align(text_of(0, 1, 2, 3))
    assert times(found) == [(word.start, word.end) for word in said]
    assert found.coverage == 1.0


@pytest.mark.parametrize("extra", [[0], [3], [2, 3, 4], [0, 3, 6]])
def test_other_speech_moves_nothing_and_is_never_aligned(studio, extra):
    order = [9 + number if number in extra else number for number in range(7)]
    said = lines(order)
    sut = studio(said, 45)
    wanted = [number for number in range(7) if number not in extra]
    found = sut.align(text_of(*wanted))
    own = [word for word in said if word.text in text_of(*wanted).split()]
    assert times(found) == [(word.start, word.end) for word in own]
    assert found.coverage == 1.0
    between = [word for word in said if word not in own and own[0].end <= word.start < own[-1].start]
    for start, end, _ in sut.aligner.readings[0].asked:
        assert not any(start < word.start and word.end < end for word in between)


def test_other_speech_that_has_the_next_word_too_moves_nothing(studio):
    foreign = talk("x0 b0 x1 x2", 6.5)
    own = [*talk(LINES[0], 1), *talk(LINES[1], 9), *talk(LINES[2], 15)]
    found = studio([*own, *foreign]).align(text_of(0, 1, 2))
    assert times(found) == [(word.start, word.end) for word in own]


def test_where_an_aligner_fails_the_times_are_those_that_were_heard(studio):
    said = lines(range(6))
    found = studio(said, 40, places=False).align(text_of(*range(6)))
    assert times(found) == [(word.start, word.end) for word in said]


# ── what is refused ──


def test_another_text_is_refused(studio):
    assert studio(lines(range(4))).refused(text_of(10, 11, 12, 13)) == alignment.OTHER


def test_a_short_text_that_is_not_said_is_refused(studio):
    assert studio(lines(range(4))).refused("quite another thing") == alignment.OTHER


def test_a_text_of_which_a_tenth_is_said_is_refused(studio):
    said = lines([0, *range(10, 20)])
    assert studio(said, 70).refused(text_of(0, *range(1, 10))) == alignment.OTHER


def test_a_part_of_a_text_may_be_said(studio):
    said = lines([4, 5])
    found = studio(said).align(text_of(*range(10)))
    assert times(found)[48:72] == [(word.start, word.end) for word in said]
    assert [word.bridged for word in found.words] == [True] * 48 + [False] * 24 + [True] * 48


def test_a_text_of_which_a_small_part_is_said_is_refused(studio):
    """All that is said is in the text; most of the text would have to share hundredths of seconds."""
    assert studio(lines([4, 5])).refused(text_of(*range(26))) == alignment.SMALL_PART


def test_a_text_may_be_a_part_of_what_is_said(studio):
    said = lines(range(20))
    found = studio(said, 125).align(text_of(7))
    assert times(found) == [(word.start, word.end) for word in said[84:96]]


def test_audio_without_speech_is_refused(studio):
    assert studio([]).refused(text_of(0)) == alignment.NO_SPEECH


@pytest.mark.parametrize("text", ["", " \n", "<p></p> <!-- words > words -->", "— ...", "\ufeff"])
def test_a_text_without_words_is_refused(studio, text):
    assert studio(lines([0])).refused(text) == alignment.NO_WORDS


def test_a_text_that_nobody_could_say_in_the_time_is_refused_before_anything_is_read(studio):
    sut = studio(lines([0]))
    assert sut.refused("word " * 3_000) == alignment.TOO_LONG
    assert sut.aligner.readings == []


def test_what_is_no_recording_is_said():
    words = tuple(marked_text.words("one"))
    work = alignment.Work(path=FIXTURES / "not_media.wav", words=words, language="en", clock=lambda: 7)
    with pytest.raises(MediaUnreadable):
        alignment.align(work, Prompter([]), VadFactory, Notebook())


# ── what goes on after a crash ──


@pytest.fixture
def long_studio(studio, monkeypatch):
    """Two and a half minutes with everything that may happen, kept in small windows."""
    monkeypatch.setattr(windows, "WINDOW", 20 * RATE)
    said = lines([*range(6), 20, 21, *range(6, 12), *range(13, 20)], every=7)
    said = [replace(word, clear=not word.text.endswith("7")) for word in said if not word.text.endswith("c3")]
    return studio(said, 150)


LONG = "\n".join([text_of(*range(12)), "<!-- and -->", text_of(*range(12, 20))])


def test_an_interrupted_alignment_goes_on_and_gives_the_same(long_studio):
    whole = long_studio.align(LONG)
    kept = long_studio.notebook.windows
    assert [window.channel for window in kept] == sorted(window.channel for window in kept)
    assert len({window.channel for window in kept}) == 2
    assert sum(window.channel for window in kept) >= 3
    hearing = sum(not window.channel for window in kept)
    for count in (1, hearing, hearing + 1, len(kept)):
        again = long_studio.align(LONG, kept[:count])
        assert again == whole
        assert long_studio.notebook.windows == kept[count:]


def test_what_was_placed_is_not_placed_again(long_studio):
    long_studio.align(LONG)
    kept = long_studio.notebook.windows
    first = len(long_studio.aligner.readings[-1].asked)
    long_studio.align(LONG, kept)
    placed = sum(window.channel for window in kept)
    assert len(long_studio.aligner.readings[-1].asked) == first - placed


def test_windows_survive_being_stored(long_studio):
    from sottovoce.transcript import codec

    whole = long_studio.align(LONG)
    stored = [(window, codec.dump_items(window.items)) for window in long_studio.notebook.windows]
    read = [replace(window, items=tuple(codec.load_items(data))) for window, data in stored]
    assert long_studio.align(LONG, read) == whole


def test_windows_of_other_circumstances_are_not_taken_over(long_studio):
    """Had another release cut other segments, or known other words, what it placed would be done again."""
    whole = long_studio.align(LONG)
    heard = [window for window in long_studio.notebook.windows if not window.channel]
    placed = [window for window in long_studio.notebook.windows if window.channel]
    wrong = tuple(Word(text=item.text, start=5, end=6) for item in placed[0].items)
    shorter = replace(placed[0], end=placed[0].end - 1, items=wrong[:-1])
    with_a_gap = replace(placed[0], items=wrong[:3] + wrong[4:])
    for other in (shorter, with_a_gap):
        assert long_studio.align(LONG, [*heard, other, *placed[1:]]) == whole


def test_hearing_goes_on_behind_the_last_window(long_studio):
    long_studio.align(LONG)
    kept = [window for window in long_studio.notebook.windows if not window.channel]
    assert len(kept) > 2
    assert all(one.end == two.start for one, two in pairwise(kept))
    long_studio.align(LONG, kept[:2])
    assert min(long_studio.notebook.heard) >= kept[1].end
    assert any("goes on at" in note for _, note in long_studio.notebook.stages)


def test_a_pause_of_minutes_is_aligned_to_nothing(studio):
    """The reading itself refuses more than it promises to take."""
    said = [*lines([0, 1]), *lines([2, 3], start=samples(300) / RATE)]
    found = studio(said, 320).align(text_of(0, 1, 2, 3))
    assert times(found) == [(word.start, word.end) for word in said]
