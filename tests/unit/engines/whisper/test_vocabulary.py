"""Custom words: found where the audio supports them, never where they were not said, and never a control token."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.whisper.vocabulary import (
    BUDGET,
    CANDIDATE,
    MAX_LETTERS,
    MAX_WORDS,
    MOST,
    Vocabulary,
    adopted,
    entries,
    harmless,
    previous,
    sounds,
    wanted,
)
from sottovoce.request import VocabEntry
from tests.examples import examples
from tests.tiny_whisper import build
from tests.unit.engines.whisper.whisper_values import line, written


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(build(tmp_path_factory.mktemp("tiny")) / "tokenizer.json"))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


@pytest.fixture(scope="module")
def plain(encode):
    (token,) = encode("<|endoftext|>")
    return token


def vocabulary(*given_: str | VocabEntry) -> Vocabulary:
    return Vocabulary(VocabEntry(content=each) if isinstance(each, str) else each for each in given_)


def alike(content: str, *sounds_like: str) -> VocabEntry:
    return VocabEntry(content=content, sounds_like=sounds_like)


def customised(said: str, second: str, *given_: str | VocabEntry, probability=0.9, sure=0.9):
    """What becomes of *said* when the second decode wrote *second*."""
    words = line(said, probability=probability)
    matches = vocabulary(*given_).candidates(words)
    return written(adopted(words, line(second, probability=sure), matches))


# ── how words sound ──


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Catherine", "Katherine"),
        ("Stephen", "Stefan"),
        ("night", "nite"),
        ("Schmidt", "Schmitt"),
        ("Quebec", "kvebec"),
        ("Zoe", "Soey"),
        ("Müller", "Muller"),
        ("José", "jose"),
        ("AT&T", "at t"),
        ("Cedric", "Sedrick"),
    ],
)
def test_words_that_sound_alike_have_nearly_the_same_sounds(one, other):
    from rapidfuzz import fuzz

    assert fuzz.ratio(sounds(one), sounds(other)) > CANDIDATE


def test_marks_and_case_have_no_sound():
    assert sounds("O'Neill-Smith!") == sounds("oneillsmith")
    assert sounds("...") == sounds("") == ""


def test_other_scripts_keep_their_letters():
    assert sounds("会议室") == "会议室"
    assert sounds("Привет")


# ── which words are looked for ──


def candidates(said, *given_):
    return [(each.entry.content, each.first, each.last) for each in vocabulary(*given_).candidates(line(said))]


def test_a_custom_word_is_a_candidate_where_something_sounds_like_it():
    assert ("Gnocchi", 3, 4) in candidates("we had some gnocky for dinner", "Gnocchi", "Wittgenstein")
    assert not any(content == "Wittgenstein" for content, _, _ in candidates("we had some gnocky", "Wittgenstein"))


def test_the_same_word_in_other_case_is_a_candidate():
    assert candidates("the ceo said", "CEO")[0] == ("CEO", 1, 2)


def test_a_custom_word_may_take_the_place_of_several():
    assert candidates("this is soto vo say on air", "Sottovoce") == [("Sottovoce", 2, 5)]


def test_a_custom_word_of_several_words_may_take_the_place_of_one():
    assert ("data base", 1, 2) in candidates("the database is up", "data base")


def test_its_sounds_like_is_what_is_compared():
    assert candidates("we run a sequel server here", "SQL") == []
    assert candidates("we run a sequel server here", alike("SQL", "sequel")) == [("SQL", 3, 4)]


def test_the_likeliest_come_first():
    matches = vocabulary("Katharina", "Catrina").candidates(line("then catrina came"))
    assert [each.entry.content for each in matches] == ["Catrina", "Katharina"]
    assert matches[0].likeness > matches[1].likeness > CANDIDATE


def test_letters_decide_where_words_end():
    assert candidates("we use confu i here", "ComfyUI") == [("ComfyUI", 2, 4)]


def test_places_of_one_entry_do_not_overlap():
    found = candidates("anna and anna an anna", "Anna")
    assert {(first, last) for _, first, last in found} >= {(0, 1), (2, 3), (4, 5)}
    taken = sorted((first, last) for _, first, last in found)
    assert all(one[1] <= other[0] for one, other in pairwise(taken))


def test_without_words_or_entries_nothing_is_looked_for():
    assert candidates("", "Anna") == candidates("... !", "Anna") == candidates("Anna came") == []


def test_what_stands_there_already_is_not_asked_for():
    words = line("we met Anna and ana")
    assert wanted(vocabulary("Anna").candidates(line("we met Anna today")), line("we met Anna today")) == []
    assert wanted(vocabulary("Anna").candidates(words), words) == ["Anna"]


def test_so_many_are_asked_for_and_no_more():
    said = line("hello there")
    assert (
        len(
            wanted(
                vocabulary(*(f"Hello{chr(97 + n % 26)}{'o' * (n // 26)}" for n in range(200))).candidates(said), said
            )
        )
        <= MOST
    )


# ── which words get in ──


def test_a_word_that_the_second_decode_has_in_its_place_gets_in():
    assert (
        customised("we had gnocky for dinner", "We had Gnocchi for dinner.", "Gnocchi") == "we had Gnocchi for dinner"
    )


def test_nothing_else_of_the_second_decode_gets_in():
    text = customised("we had gnocky for dinner", "You ate Gnocchi at supper!", "Gnocchi", "supper")
    assert text == "we had Gnocchi for dinner"


def test_a_word_in_another_place_of_the_second_decode_does_not():
    text = customised("the gnocky was good and then we left", "the was good and then we left Gnocchi", "Gnocchi")
    assert text == "the gnocky was good and then we left"


@pytest.mark.parametrize("second", ["we had gnocky for dinner", "we had it for dinner", ""])
def test_without_the_second_decode_nothing_gets_in(second):
    assert customised("we had gnocky for dinner", second, "Gnocchi") == "we had gnocky for dinner"


def test_the_caller_s_own_spelling_of_the_sound_gets_in_where_the_model_was_unsure():
    custom = alike("Gnocchi", "gnocky")
    assert customised("we had gnocky for dinner", "", custom, probability=0.6) == "we had Gnocchi for dinner"
    assert customised("we had gnocky for dinner", "", custom, probability=0.9) == "we had gnocky for dinner"
    assert customised("we had gnockies for dinner", "", custom, probability=0.6) == "we had gnockies for dinner"


def test_case_is_the_caller_s():
    assert customised("the ceo and the Ceo of nato", "The CEO and the CEO of NATO", "CEO", "NATO") == (
        "the CEO and the CEO of NATO"
    )


def test_marks_around_a_word_stay():
    assert (
        customised("so, «gnocky», then gnocky!", "So Gnocchi then Gnocchi", "Gnocchi") == "so, «Gnocchi», then Gnocchi!"
    )


def test_one_word_takes_the_place_of_several_and_their_time():
    words = line("this is soto vo say, again")
    matches = vocabulary("Sottovoce").candidates(words)
    result = adopted(words, line("this is Sottovoce again"), matches)
    assert written(result) == "this is Sottovoce, again"
    assert (result[2].start, result[2].end) == (words[2].start, words[4].end)


def test_several_words_take_the_place_of_one():
    assert customised("in newyork now", "in New York now", "New York") == "in New York now"


def test_of_two_custom_words_for_one_place_one_gets_in():
    text = customised("then katarina came", "then Katharina came", "Katharina", "Catrina")
    assert text == "then Katharina came"


def test_a_short_word_must_be_likely_too():
    assert customised("his name is bo", "his name is Beau", "Beau", sure=0.5) == "his name is Beau"
    assert customised("his name is bo", "his name is Beau", "Beau", sure=0.05) == "his name is bo"


def test_every_place_of_a_custom_word_is_looked_at():
    text = customised("gnocky here and gnocky there", "Gnocchi here and Gnocchi there", "Gnocchi")
    assert text == "Gnocchi here and Gnocchi there"


# ── entries ──


def test_entries_that_cannot_be_used_are_counted():
    found, left_out = entries(
        VocabEntry(content=each)
        for each in (
            "fits",
            "one two three four five six seven",
            "x" * 201,
            "...",
            "",
            "\ud800",
            "one two three four five six",
        )
    )
    assert [each.content for each in found] == ["fits", "one two three four five six"]
    assert left_out == 5
    assert (MAX_WORDS, MAX_LETTERS) == (6, 200)


def test_an_entry_counts_once_and_its_sounds_are_those_of_the_first():
    found, left_out = entries([alike("Anna", "ahna"), alike("Anna", "onna"), VocabEntry(content=" Anna ")])
    assert len(found) == 1
    assert found[0].alike == {"ahna"}
    assert left_out == 0


def test_sounds_like_without_letters_is_no_sound():
    (entry,), _ = entries([alike("Anna", "...", "")])
    assert entry.alike == frozenset()
    assert entry.heard == (sounds("Anna"),)


def test_a_thousand_entries_are_looked_for_in_a_window():
    ends = ("lton", "nsky", "rdes", "vall")
    names = [f"{first}{vowel}{end}" for first in "BDFGKLMNPR" for vowel in "aeiou" for end in ends]
    custom = vocabulary(*(alike(f"{name}{n}", name.lower()) for n in range(5) for name in names))
    assert len(custom.entries) == 1_000
    words = line("they met balton and then denski over in the valley for a while")
    matches = custom.candidates(words)
    assert 0 < len(wanted(matches, words)) <= MOST
    assert adopted(words, words, matches) == words


# ── text before a passage ──


def test_the_chosen_words_are_in_the_text_in_their_order(encode, plain):
    tokens, dropped = previous(["Gnocchi", "Anna Berlin"], "en", encode, plain)
    assert tokens == encode(" They talked about Gnocchi, Anna Berlin for a while.")
    assert dropped == 0
    assert previous(["Gnocchi"], "de", encode, plain)[0] == encode(" Gnocchi.")
    assert previous([], "en", encode, plain) == ([], 0)


def test_what_does_not_fit_is_counted_and_a_long_word_does_not_keep_out_the_next(encode, plain):
    tokens, dropped = previous(["y" * 150, "z" * 100, "fits"], "en", encode, plain)
    assert len(tokens) <= BUDGET
    assert tokens == encode(f" They talked about {'y' * 150}, fits for a while.")
    assert dropped == 1


def test_a_thousand_words_are_cut_at_the_budget(encode, plain):
    tokens, dropped = previous([f"word{n}" for n in range(1_000)], "en", encode, plain)
    assert BUDGET - 20 < len(tokens) <= BUDGET
    assert 900 < dropped < 1_000


@pytest.mark.parametrize("token", ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|0.00|>", "<|nospeech|>"])
def test_a_control_token_in_a_custom_word_is_only_text(encode, plain, token):
    name = token.strip("<|>")
    for hostile in (token, f"a{token}b", token * 2, f"<|{token}|>", f"<{token}", token[:-1] + " |>"):
        assert all(number < plain for number in encode(f" {harmless(hostile)}"))
        tokens, dropped = previous([harmless(hostile), "Anna"], "en", encode, plain)
        assert all(number < plain for number in tokens)
        assert dropped == 0
    assert harmless(token) == name


def test_a_control_token_that_gets_through_is_left_out(encode, plain):
    tokens, dropped = previous(["<|en|>", "Anna"], "en", encode, plain)
    assert tokens == encode(" They talked about Anna for a while.")
    assert dropped == 1


def test_text_is_made_one_line_of_characters():
    assert [harmless(each) for each in ("", " ", "\ud800", "\x00", "<||>", "ok\nnow", "a\u2028b")] == [
        "", "", "", "", "", "ok now", "a b",
    ]  # fmt: skip


@given(st.lists(st.text(max_size=300), max_size=30), st.sampled_from(["en", "zh"]))
def test_no_text_is_too_odd(encode, plain, contents, code):
    found, left_out = entries(VocabEntry(content=each) for each in contents)
    assert len(found) + left_out <= len(contents)
    tokens, dropped = previous([each.content for each in found], code, encode, plain)
    assert len(tokens) <= BUDGET
    assert 0 <= dropped <= len(found)
    assert all(number < plain for number in tokens)


# ── whatever was heard ──

SAID = [
    "we",
    "had",
    "some",
    "gnocky",
    "gnocchi,",
    "for",
    "the",
    "ceo",
    "of",
    "soto",
    "voce",
    "in",
    "new",
    "york",
    "bo",
    "Anna",
    "ana",
]
OTHER = [*SAID, "Gnocchi", "CEO", "Sottovoce", "New York", "Beau", "Anna.", "NATO"]
CUSTOM = [
    alike("Gnocchi", "gnocky"), alike("CEO"), alike("Sottovoce", "soto voce"), alike("New York"), alike("Beau", "bo"),
    alike("Anna", "ana"), alike("NATO"),
]  # fmt: skip
CONTENTS = {each.content for each in CUSTOM}
SOUNDS = {comparison_key(each.content): {comparison_key(one) for one in each.sounds_like} for each in CUSTOM}
LINES = st.lists(st.tuples(st.sampled_from(SAID), st.floats(0, 1)), max_size=14)
SECOND = st.lists(st.tuples(st.sampled_from(OTHER), st.floats(0, 1)), max_size=14)


def made(pairs):
    return [
        HypothesisWord(text=text, start=5_000 * n, end=5_000 * n + 4_000, probability=probability)
        for n, (text, probability) in enumerate(pairs)
    ]


@settings(max_examples=examples(400))
@given(LINES, SECOND)
def test_a_custom_word_gets_in_only_with_the_second_decode_or_the_caller_s_sound(said, second):
    words, other = made(said), made(second)
    result = adopted(words, other, Vocabulary(CUSTOM).candidates(words))
    both = "".join(comparison_key(each.text) for each in other)
    spans = {(each.start, each.end): each for each in words}
    for new in result:
        old = spans.get((new.start, new.end))
        if old is not None and old == new:
            continue
        core = new.text.strip(".,!«»")
        assert core in CONTENTS
        replaced = [each for each in words if new.start <= each.start and each.end <= new.end]
        letters = comparison_key("".join(each.text for each in replaced))
        sure = sum(each.probability for each in replaced) / len(replaced)
        assert comparison_key(core) in both or (letters in SOUNDS[comparison_key(core)] and sure < 0.7)


@settings(max_examples=examples(400))
@given(LINES, SECOND)
def test_time_and_other_words_are_as_they_were(said, second):
    words, other = made(said), made(second)
    result = adopted(words, other, Vocabulary(CUSTOM).candidates(words))
    kept = [each for each in result if each in words]
    assert [each for each in words if each in kept] == kept
    assert [each.start for each in result] == sorted(each.start for each in result)
    for each in words:
        holders = [new for new in result if new.start <= each.start and each.end <= new.end]
        assert len(holders) == 1


@settings(max_examples=examples(200))
@given(LINES)
def test_words_that_do_not_sound_alike_change_nothing(said):
    words = made(said)
    irrelevant = [VocabEntry(content=each) for each in ("Wittgenstein", "Przewalski", "Thessaloniki", "Quetzalcoatl")]
    assert adopted(words, words, Vocabulary(irrelevant).candidates(words)) == words
