"""A window is heard until its speech has words: with a decoder that reads what it is told was said, or follows a script."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.engines.whisper import hallucination, style
from sottovoce.engines.whisper.coverage import MISSED, TOLD
from sottovoce.engines.whisper.decoder import Clip, Task
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.engines.whisper.listener import AROUND, CLOSE, PROMPT, TEMPERATURES, THOROUGH, attempt, hear
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE
from tests.unit.engines.whisper.whisper_values import at, line, run, word, written

TASK = Task(pack=pack("en"), code="en")
NAMES = ["".join(letters) for letters in product("bdfgklmnprst", "aeiou", "bdfgklmnprst")]


def hypothesis(words: Sequence[HypothesisWord], avg_logprob=-0.2, no_speech=0.05) -> Hypothesis:
    text = " ".join(each.text for each in words)
    return Hypothesis(
        words=tuple(words), text=text, avg_logprob=avg_logprob, no_speech=no_speech, tokens=2 * len(words)
    )


def clip(seconds: float, *voiced: tuple[float, float]) -> Clip:
    """Audio whose samples tell their place, all of it speech unless runs are given."""
    runs = voiced or ((0, seconds),)
    return Clip(audio=np.arange(at(seconds), dtype=np.float32), voiced=tuple(run(*each) for each in runs))


class Reader:
    """Hears the words *said* that lie in the audio, as far as *heeds* lets it: given the clip's start and end, and a word."""

    def __init__(self, said: Sequence[HypothesisWord], heeds: Callable[[float, float, HypothesisWord], bool]) -> None:
        self.said = said
        self.heeds = heeds
        self.heard: list[tuple[float, float]] = []  # from where to where, s

    def decode(self, clips, task, *, temperature=0.0):
        assert task is TASK
        return [self._one(each) for each in clips]

    def _one(self, part: Clip) -> Hypothesis:
        begin, end = int(part.audio[0]), int(part.audio[-1]) + 1
        self.heard.append((begin / RATE, end / RATE))
        return hypothesis(
            [
                replace(each, start=each.start - begin, end=each.end - begin)
                for each in self.said
                if begin <= each.start and each.end <= end and self.heeds(begin / RATE, end / RATE, each)
            ]
        )


class Script:
    """Answers with *answers*, one after the other; remembers what it was asked."""

    def __init__(self, *answers: Hypothesis, sounds_like: Mapping[str, float] = MappingProxyType({})) -> None:
        self.answers = list(answers)
        self.sounds_like = sounds_like
        self.asked: list[tuple[float, float, float]] = []  # start, end, temperature
        self.examples: list[bool] = []  # whether there was a text before the audio

    def decode(self, clips, task, *, temperature=0.0):
        (part,) = clips
        self.asked.append((part.audio[0] / RATE, (part.audio[-1] + 1) / RATE, temperature))
        self.examples.append(bool(task.previous))
        return [self.answers.pop(0)]

    def languages(self, clip):
        return self.sounds_like

    def tokenizer(self, code):
        return self

    def encode(self, text):
        return [len(text)]


def listened(decoder, heard: Clip, first: Hypothesis | None = None):
    return hear(decoder, heard, TASK, first)


def sentence(count: int, start=0.0, pace=0.5):
    return line(" ".join(NAMES[:count]), start, pace=pace, length=0.4)


# ── holes ──


def test_speech_that_has_its_words_is_decoded_once():
    said = sentence(20)
    reader = Reader(said, lambda *_: True)
    assert listened(reader, clip(10)) == (said, [])
    assert reader.heard == [(0, 10)]


@pytest.mark.parametrize("seconds", [2.4, 3, 8, 14, 19])
def test_a_decode_that_stops_early_goes_on(seconds):
    said = sentence(40)
    reader = Reader(said, lambda begin, _, each: begin > 0 or each.end <= at(seconds))
    assert listened(reader, clip(20)) == (said, [])


@pytest.mark.parametrize("seconds", [3, 8, 14, 19])
def test_a_decode_that_begins_late_is_made_complete(seconds):
    said = sentence(40)
    reader = Reader(said, lambda begin, end, each: begin > 0 or end < at(20) or each.start >= at(seconds))
    assert written(listened(reader, clip(20))[0]) == written(said)


def test_a_passage_that_is_skipped_in_a_long_window_is_heard_in_a_short_one():
    said = sentence(40)
    reader = Reader(said, lambda begin, end, each: end - begin < 10 or not at(8) < each.middle < at(12))
    words, holes = listened(reader, clip(20))
    assert words == said
    assert holes == []
    hole, around = reader.heard[1], AROUND / RATE
    assert hole[0] == pytest.approx(8 - around, abs=0.5)
    assert hole[1] == pytest.approx(12 + around, abs=0.5)


def test_a_word_that_was_drawn_out_over_others_gives_way():
    said = sentence(20)
    drawn = [*said[:5], replace(said[5], end=said[12].end), *said[13:]]
    decoder = Script(
        hypothesis(drawn), hypothesis([replace(w, start=w.start - at(1), end=w.end - at(1)) for w in said[2:16]])
    )
    words, holes = listened(decoder, clip(10))
    assert written(words) == written(said)
    assert holes == []


def test_a_hole_that_stays_empty_is_given_back():
    said = [each for each in sentence(40) if not at(8) < each.middle < at(12)]
    reader = Reader(said, lambda *_: True)
    words, (hole,) = listened(reader, clip(20))
    assert words == said
    assert at(7.5) <= hole.start <= at(8.5)
    assert at(11.5) <= hole.end <= at(12.5)
    assert len(reader.heard) == 3  # the window, the hole with what is around it, the hole alone


def test_a_short_hole_is_tried_once_and_not_told():
    said = [each for each in sentence(20) if each.text != NAMES[9]]
    reader = Reader(said, lambda *_: True)
    assert MISSED <= at(0.6) < TOLD
    words, holes = listened(reader, clip(10))
    assert (words, holes) == (said, [])
    assert len(reader.heard) == 2


def test_pauses_are_not_decoded_again():
    said = [*sentence(6), *line("and then at last", 12)]
    reader = Reader(said, lambda *_: True)
    listened(reader, clip(15, (0, 3), (12, 13.7)))
    assert len(reader.heard) == 1


def test_so_many_holes_are_tried_and_no_more():
    """Every third word is never heard: each hole that is left is another one."""
    said = sentence(54)
    reader = Reader(said, lambda _b, _e, each: NAMES.index(each.text) % 3 == 0)
    words, holes = listened(reader, clip(27))
    assert [each.text for each in words] == NAMES[:54:3]
    assert len(reader.heard) <= 1 + 2 * THOROUGH.holes
    assert sum(hole.missed for hole in holes) >= 0


def test_the_end_of_a_turn_needs_few_decodes():
    said = sentence(54)
    reader = Reader(said, lambda _b, _e, each: NAMES.index(each.text) % 3 == 0)
    words, _ = hear(reader, clip(27), TASK, effort=PROMPT)  # type: ignore[arg-type]
    assert [each.text for each in words] == NAMES[:54:3]
    assert len(reader.heard) == 1 + PROMPT.holes * PROMPT.parts


# ── what may fill a hole ──

AROUND_HOLE = [*line("so he said that we", pace=0.5), *line("could go home again now", 5.5, pace=0.5)]
"""Words in speech of 8 s, with a hole from 2.3 to 5.5 s: it is heard from 0.8 to 7 s, or alone from 1.9 to 5.9 s."""


FILL = "never ever really wanted to"


def filled(start: float):
    """Words for the whole hole, which begins *start* seconds after what is heard does."""
    return line(FILL, start, pace=0.64, length=0.64)


WITH_NEIGHBOURS = [*line("that we", 0.7, pace=0.5), *filled(1.5), word("could", 4.7, 5)]


def filling(*answers: Sequence[HypothesisWord], **scores):
    decoder = Script(hypothesis(AROUND_HOLE), *(hypothesis(each, **scores) for each in answers))
    words, holes = listened(decoder, clip(8))
    return written(words), decoder.asked, holes


def test_words_with_a_neighbour_that_both_decodes_have_fill_a_hole():
    text, asked, holes = filling(WITH_NEIGHBOURS)
    assert text == f"so he said that we {FILL} could go home again now"
    assert [each[:2] for each in asked] == [(0, 8), (0.8, 7)]
    assert holes == []


def test_one_neighbour_near_its_place_is_enough():
    text, _, _ = filling([*filled(1.5), word("could", 4.9, 5.2)])
    assert text == f"so he said that we {FILL} could go home again now"


def test_without_such_a_neighbour_only_the_hole_alone_counts():
    text, asked, holes = filling([*line("or then", 0.7), *filled(1.5), word("could", 5.6, 5.9)], [])
    assert text == written(AROUND_HOLE)
    assert [each[:2] for each in asked[1:]] == [(0.8, 7), (2.3 - CLOSE / RATE, 5.5 + CLOSE / RATE)]
    assert len(holes) == 1


def test_a_hole_heard_alone_needs_no_neighbour():
    text, _, holes = filling([], filled(CLOSE / RATE))
    assert text == f"so he said that we {FILL} could go home again now"
    assert holes == []


@pytest.mark.parametrize(
    "unfit",
    [
        [replace(each, probability=0.53) for each in WITH_NEIGHBOURS],
        line("that we", 0.7, pace=0.5),
        [],
    ],
    ids=["unlikely", "elsewhere", "nothing"],
)
def test_a_hole_is_not_filled_with_words_that_are(unfit):
    text, asked, holes = filling(unfit, [])
    assert text == written(AROUND_HOLE)
    assert len(asked) == 3
    assert len(holes) == 1


def test_a_hole_is_not_filled_where_the_model_hears_no_speech():
    text, _, _ = filling(WITH_NEIGHBOURS, [], avg_logprob=-1.1, no_speech=0.9)
    assert text == written(AROUND_HOLE)


def test_words_that_both_decodes_have_are_there_once():
    text, _, _ = filling([*line("he said that we", 0, pace=0.4), *filled(1.5), *line("could go home", 4.7, pace=0.5)])
    assert text == f"so he said that we {FILL} could go home again now"


# ── guesses ──


GUESS = line("the end of the middle of the man", probability=0.45)


def after_a_guess(*second: HypothesisWord, task=TASK, guess=GUESS):
    decoder = Script(hypothesis(guess), hypothesis(second))
    words, holes = hear(decoder, clip(5, (0, 3.1)), task)  # type: ignore[arg-type]
    return written(words), holes, decoder.examples


def test_text_that_was_guessed_is_decoded_again_after_an_example():
    text, holes, examples = after_a_guess(
        *line("Hello. Goodbye. Banana. Breakaway. Before. After.", pace=0.5, probability=0.7)
    )
    assert text == "Hello. Goodbye. Banana. Breakaway. Before. After."
    assert holes == []
    assert examples == [False, True]


@pytest.mark.parametrize(
    "second",
    [
        line("hello goodbye banana breakaway", pace=0.5, probability=0.6),
        line(style.EXAMPLES["en"], pace=0.15, length=0.15),
        [],
    ],
    ids=["a guess", "the example itself", "nothing"],
)
def test_where_that_gives_no_words_all_of_the_speech_is_given_back(second):
    text, (hole,), _ = after_a_guess(*second)
    assert text == ""
    assert hole.missed == at(3.1)


DOUBTFUL = line("here is not all your toys alone", pace=0.5, length=0.4, probability=0.6)
NO_LANGUAGE = {"en": 0.35, "fr": 0.4}


def doubted(*answers: Hypothesis, task: Task = TASK, sounds_like=NO_LANGUAGE):
    decoder = Script(*answers, sounds_like=sounds_like)
    words, holes = hear(decoder, clip(3.5), task)  # type: ignore[arg-type]
    return written(words), holes, decoder.examples


@pytest.mark.parametrize("other", [line("good morning everyone", pace=0.5), []], ids=["other words", "nothing"])
def test_a_doubtful_text_in_no_language_that_another_decode_does_not_have_is_left_out_and_told(other):
    text, (hole,), examples = doubted(hypothesis(DOUBTFUL), hypothesis(other))
    assert (text, hole.missed, examples) == ("", at(3.5), [False, True])


def test_likely_words_in_an_unlikely_text_are_doubtful_too():
    likely = [replace(each, probability=0.8) for each in DOUBTFUL]
    text, _, _ = doubted(hypothesis(likely, avg_logprob=-0.9), hypothesis(line("good morning everyone", pace=0.5)))
    assert text == ""


def test_a_doubtful_text_is_kept_if_another_decode_has_its_words():
    other = [*DOUBTFUL[:5], *line("boys too", 2.5, pace=0.5, length=0.4, probability=0.6)]
    assert doubted(hypothesis(DOUBTFUL), hypothesis(other)) == (written(DOUBTFUL), [], [False, True])


@pytest.mark.parametrize(
    "sounds_like",
    [{"en": 0.5, "fr": 0.4}, {"en": 0.01, "fr": 0.9}, {}, {"en": 0.05, "fr": 0.09}],
    ids=["as asked", "another", "one language", "not identified"],
)
def test_a_doubtful_text_is_kept_if_the_audio_sounds_like_a_language(sounds_like):
    assert doubted(hypothesis(DOUBTFUL), sounds_like=sounds_like) == (written(DOUBTFUL), [], [False])


def test_a_clear_text_and_one_of_a_language_without_an_example_need_no_other_decode():
    clear = [replace(each, probability=0.7) for each in DOUBTFUL]
    assert doubted(hypothesis(clear)) == (written(clear), [], [False])
    welsh = Task(pack=pack("cy"), code="cy")
    assert doubted(hypothesis(DOUBTFUL), task=welsh) == (written(DOUBTFUL), [], [False])


def test_in_a_language_without_an_example_a_guess_is_left_out_at_once():
    guess = [replace(each, probability=0.3) for each in GUESS]
    text, (hole,), examples = after_a_guess(task=Task(pack=pack("cy"), code="cy"), guess=guess)
    assert text == ""
    assert hole.missed == at(3.1)
    assert examples == [False]


def test_such_languages_may_be_less_likely():
    text, _, examples = after_a_guess(task=Task(pack=pack("cy"), code="cy"))
    assert text == written(GUESS)
    assert examples[0] is False


def test_guessed_text_for_less_than_a_second_is_not_told():
    weak = hypothesis(line("of the", probability=0.2))
    assert listened(Script(weak, weak), clip(3, (1, 1.6))) == ([], [])


def test_a_window_without_words_gives_its_speech_back():
    words, (hole,) = listened(Script(*[hypothesis([])] * 5), clip(8, (1, 4)))
    assert words == []
    assert hole.missed == at(3)


def test_what_the_model_takes_for_silence_is_silence():
    weak = replace(hypothesis(line("thank you", 2, probability=0.3), avg_logprob=-1.2), no_speech=0.9)
    words, holes = listened(Script(weak, weak, weak), clip(6, (2, 2.4)))
    assert (words, holes) == ([], [])


# ── one decode and those of rising temperature ──


def test_a_hypothesis_that_is_there_is_not_decoded_for():
    said = sentence(4)
    assert attempt(Script(), clip(2), TASK, hypothesis(said)).words == tuple(said)  # type: ignore[arg-type]


def test_a_doubtful_decode_is_followed_by_warmer_ones_until_one_passes():
    bad, good = hypothesis(line("bad text"), avg_logprob=-1.4), hypothesis(line("good text"), avg_logprob=-0.3)
    decoder = Script(bad, bad, good)
    assert written(attempt(decoder, clip(2), TASK).words) == "good text"  # type: ignore[arg-type]
    assert [temperature for _, _, temperature in decoder.asked] == [0.0, *TEMPERATURES[:2]]


def test_of_decodes_that_all_are_doubtful_the_likeliest_stays():
    likelihoods = [-1.4, -1.6, -1.2, -1.5, -1.3, -1.7]
    decoder = Script(*(hypothesis(line(f"text {NAMES[n]}"), avg_logprob=each) for n, each in enumerate(likelihoods)))
    assert written(attempt(decoder, clip(2), TASK).words) == f"text {NAMES[2]}"  # type: ignore[arg-type]
    assert len(decoder.asked) == 1 + len(TEMPERATURES)


def test_words_after_the_audio_are_no_part_of_a_hypothesis():
    echo = [word("echo", 2, 2), word("echo", 2, 2), word("echo", 2, 2)]
    heard = attempt(Script(hypothesis([*sentence(3), *echo])), clip(2), TASK)  # type: ignore[arg-type]
    assert heard.words == tuple(sentence(3))
    assert heard.text == written(sentence(3))


def test_a_word_where_nobody_speaks_stays_only_if_the_model_is_sure():
    words = [*line("this was said"), word("maybe", 4, 4.5, 0.6), word("surely", 6, 6.5, 0.8)]
    heard = attempt(Script(hypothesis(words)), clip(8, (0, 1.2)), TASK)  # type: ignore[arg-type]
    assert written(heard.words) == "this was said surely"


def test_guards_clean_what_stays(monkeypatch):
    monkeypatch.setattr(hallucination, "filter_words", lambda heard: heard.words[:1])
    assert written(attempt(Script(hypothesis(sentence(3))), clip(2), TASK).words) == NAMES[0]  # type: ignore[arg-type]


# ── whatever a decoder hears ──


@settings(max_examples=150)
@given(st.integers(1, 27), st.lists(st.tuples(st.floats(0.5, 12), st.integers(0, 7)), min_size=1, max_size=6))
def test_words_come_in_order_and_once(count, moods):
    """The decoder hears no further than so many seconds in each decode, and leaves out every so manyth word."""
    said = sentence(2 * count)
    calls: dict[tuple[float, float], int] = {}

    def heeds(begin, end, each):
        seconds, skipped = moods[calls.setdefault((begin, end), len(calls)) % len(moods)]
        return each.end <= at(begin + seconds) and (NAMES.index(each.text) + 1) % (skipped + 2) != 0

    words, holes = listened(Reader(said, heeds), clip(count))
    numbers = [NAMES.index(each.text) for each in words]
    assert numbers == sorted(set(numbers))
    assert all(one.end <= other.start for one, other in pairwise(words))
    assert all(hole.missed >= TOLD for hole in holes)


@settings(max_examples=100)
@given(
    st.integers(3, 27), st.floats(0.4, 27)
)  # the surroundings of a hole in two seconds are all of them, decoded before
def test_wherever_the_first_decode_ends_behind_a_word_no_word_is_lost(count, seconds):
    said = sentence(2 * count)
    first = hypothesis([each for each in said if each.end <= at(seconds)])
    assert listened(Reader(said, lambda *_: True), clip(count), first) == (said, [])
