import warnings
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.request import PunctuationOverrides
from sottovoce.transcript.formatting import capitalise, join, permit, punctuate, remove_words, sentence_case, sentences
from sottovoce.transcript.languages import PACKS, pack
from sottovoce.transcript.model import Attaches, Entity, Item, Mark, Word, samples
from tests.unit.transcript.transcript_values import DURATION, lines, m, said, texts, w

EN = pack("en")
DEFAULT = PunctuationOverrides()
END = samples(1_000)


def only(*marks: str, sensitivity: float = 0.5) -> PunctuationOverrides:
    return PunctuationOverrides(permitted_marks=frozenset(marks), sensitivity=sensitivity)


def written(items, overrides: PunctuationOverrides = DEFAULT, code: str = "en") -> str:
    return join(punctuate(items, pack(code), overrides, end=END), pack(code))


# --- punctuate


def test_a_pause_ends_a_sentence_and_so_does_the_end() -> None:
    marked = punctuate(said("we met | it rained"), EN, DEFAULT, end=END)
    assert texts(marked) == ["we", "met", ".", "it", "rained", "."]
    stop = marked[2]
    assert stop == Mark(text=".", at=marked[1].end, ends_sentence=True)
    assert stop.confidence is None


def test_a_mark_has_the_voice_of_its_word() -> None:
    (_, mark) = punctuate([w("yes", language="en", speaker="S1", channel="left", confidence=0.9)], EN, DEFAULT, end=END)
    assert mark == m(".", 0.1, language="en", speaker="S1", channel="left")


@pytest.mark.parametrize(
    ("pause", "sensitivity", "ends"),
    [(0.5, 0.5, False), (0.51, 0.5, True), (0.9, 0, False), (1.01, 0, True), (0.24, 1, False), (0.26, 1, True)],
)
def test_sensitivity_moves_the_threshold(pause: float, sensitivity: float, ends: bool) -> None:
    marked = punctuate(said("one two", pause=pause), EN, PunctuationOverrides(sensitivity=sensitivity), end=END)
    assert (texts(marked)[1] == ".") is ends


@given(st.lists(st.floats(0, 2), min_size=1, max_size=12), st.floats(0, 1), st.floats(0, 1))
def test_more_sensitive_is_more_sentences(pauses: list[float], one: float, two: float) -> None:
    items: list[Item] = []
    at = 0.0
    for pause in pauses:
        items.append(w("word", at, at + 0.3))
        at += 0.3 + pause
    low, high = (
        sum(isinstance(item, Mark) for item in punctuate(items, EN, PunctuationOverrides(sensitivity=each), end=END))
        for each in sorted((one, two))
    )
    assert low <= high


def test_a_dangling_word_needs_a_longer_pause() -> None:
    assert written(said("this is the house", pause=0.6)) == "this. is. the house."
    assert written(said("the", pause=0) + said("house", start=2)) == "the. house."


def test_commas_stand_before_clauses_at_medium_pauses() -> None:
    items = said("we went home") + said("because it rained", start=1.5)
    assert written(items) == "we went home, because it rained."
    assert written(said("we went home") + said("very late", start=1.5)) == "we went home very late."
    assert written(said("so") + said("because it rained", start=0.7)) == "so because it rained."
    assert written(said("well") + said("it rained", start=0.7)) == "well, it rained."


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("what is your name", "?"),
        ("what's your name", "?"),
        ("so how long did it take", "?"),
        ("do you think so", "?"),
        ("is there any more", "?"),
        ("haven't you heard", "?"),
        ("where are we", "?"),
        ("why", "?"),
        ("really", "?"),
        ("what i mean is this", "."),
        ("when i was young", "."),
        ("do it now", "."),
        ("have this one", "."),
        ("which is why i left", "."),
        ("who was born there", "."),
        ("is " * 3, "."),
        ("can you " + "go on " * 20, "."),
        ("i do", "."),
    ],
)
def test_questions(text: str, mark: str) -> None:
    assert texts(punctuate(said(text), EN, DEFAULT, end=END))[-1] == mark


def test_no_question_rules_outside_english() -> None:
    assert written(said("is there"), code="nl") == "is there."
    assert written(said("what is it"), code="en_ms") == "what is it?"


def test_no_marks_at_all() -> None:
    items = said("what is it | yes")
    assert punctuate(items, EN, only(), end=END) == tuple(items)
    assert punctuate([*items, m(".")], EN, only(), end=END) == tuple(items)


def test_only_permitted_and_supported_marks() -> None:
    items = said("what is it | it is rain")
    assert written(items, only("?")) == "what is it? it is rain"
    assert written(items, only(".")) == "what is it. it is rain."
    assert written(items, only("!")) == "what is it it is rain"
    assert written(items, only("。", "§")) == "what is it it is rain"
    assert written(said("we went home | and it rained"), only(",")) == "we went home, and it rained"


def test_the_language_has_its_own_full_stop() -> None:
    assert written(said("我 们 | 好"), code="cmn") == "我们。好。"
    assert written(said("नमस्ते"), code="hi") == "नमस्ते।"
    assert written(said("我 们"), only("."), code="cmn") == "我们"


def test_a_speaker_or_channel_change_ends_a_sentence() -> None:
    items = said("is it", speaker="S1") + said("it is", speaker="S2", start=0.7)
    assert written(items) == "is it? it is."
    items = said("we", channel="left") + said("go", channel="right", start=0.3)
    assert written(items) == "we. go."


def test_marks_that_are_there_stay() -> None:
    items = said("no ! | is it true , yes")
    assert written(items) == "no! is it true, yes?"
    assert written(items, only(".")) == "no. is it true yes."


def test_initials_lend_their_dot() -> None:
    assert written(said("ask john t.")) == "ask john T."
    assert written(said("at three p.m.")) == "at three p.m."
    assert written(said("mr. t. is here")) == "mr. t. is here."


@given(lines(), st.sampled_from(["en", "cmn", "ar", "fr"]), st.floats(0, 1))
def test_punctuation_only_adds_marks(items: list[Item], code: str, sensitivity: float) -> None:
    bare = [item for item in items if not isinstance(item, Mark)]
    marked = punctuate(bare, pack(code), PunctuationOverrides(sensitivity=sensitivity), end=DURATION)
    for given_, found in zip(bare, [item for item in marked if not isinstance(item, Mark)], strict=True):
        assert found == given_ or given_.text.lower() == found.text.lower() + "."
    for before, item in pairwise(marked):
        if isinstance(item, Mark):
            assert not isinstance(before, Mark)
            assert item.at == min(before.end, DURATION)
            assert (item.channel, item.speaker, item.language) == (before.channel, before.speaker, before.language)
            assert item.text in pack(code).marks
            assert item.ends_sentence == (item.text in pack(code).stops)
    if bare:
        assert isinstance(marked[-1], Mark)


def test_permit() -> None:
    items = (w("a"), m(","), w("b"), m("."))
    assert permit(items, DEFAULT) == items
    assert texts(permit(items, only("."))) == ["a", "b", "."]
    assert texts(permit(items, only())) == ["a", "b"]


# --- capitalise


def cased(items, code: str = "en", keep=()) -> str:
    return join(capitalise(items, pack(code), keep), pack(code))


def test_sentence_case() -> None:
    assert (
        cased(said("we met . it rained , but not here . 17th of june"))
        == "We met. It rained, but not here. 17th of June"
    )
    assert cased(said("élan ? ñu ! œuf . ǆ"), "fr") == "Élan? Ñu! Œuf. ǅ"


def test_no_sentences_no_sentence_case() -> None:
    assert cased(said("we met , i think | on monday in new york")) == "we met, I think on Monday in New York"
    assert cased(said("wir gehen am montag"), "de") == "wir gehen am montag"


def test_speakers_and_channels_have_sentences_of_their_own() -> None:
    items: list[Item] = [
        w("yes", channel="left"), w("well", channel="right"), w("sir", channel="left"), m(".", channel="left"),
        w("no", channel="right"), w("go", channel="left"), m(".", channel="right"), w("so", channel="right"),
    ]  # fmt: skip
    assert texts(capitalise(items, EN)) == ["Yes", "Well", "sir", ".", "no", "Go", ".", "So"]
    turns: list[Item] = [w("yes", speaker="S1"), w("no", speaker="S2"), w("no", speaker="S2"), m(".", speaker="S2")]
    assert texts(capitalise(turns, EN)) == ["Yes", "No", "no", "."]


def test_english_small_words_and_names() -> None:
    assert cased(said("i i'm i'll i'd i've i’m in it's")) == "I I'm I'll I'd I've I’m in it's"
    assert cased(said("u. s. t. p.m. u.s. u.s.'s a p i x-y")) == "U. S. T. p.m. U.S. U.S.'s a P I x-y"
    assert (
        cased(said("on monday's march in may with american mr. smith"))
        == "on Monday's march in may with American Mr. smith"
    )
    assert cased(said("the united states and united we stand")) == "the United States and united we stand"
    assert cased(said("i on monday"), "nl") == "i on monday"


def test_the_callers_words_keep_their_casing() -> None:
    keep = ["iPhone", "New York Times", "york", "GABA", "gabapentin"]
    items = said("iphone users . gaba and gabapentin . gabapentin's york , the new york times's man")
    assert cased(items, keep=keep) == ("iPhone users. GABA and gabapentin. Gabapentin's york, the New York Times's man")
    assert cased([w("new york times")], keep=keep) == "New York Times"
    assert cased(said("Iphone"), keep=keep) == "iPhone"
    assert cased(said("new york | times"), keep=["New York"], code="es") == "New York times"
    assert cased([w("new"), m(","), w("york")], keep=["New York"], code="es") == "new, york"


def test_entities_are_cased_with_their_first_piece() -> None:
    pieces = (w("seven", 0, 1), w("apples", 1, 2))
    entity = Entity(text="seven apples", entity_class="cardinal", spoken=pieces, written=pieces, start=0, end=9)
    cased_entity, _ = capitalise([entity, m(".")], EN)
    assert isinstance(cased_entity, Entity)
    assert cased_entity.text == "Seven apples"
    assert texts(cased_entity.written) == ["Seven", "apples"]
    assert texts(cased_entity.spoken) == ["seven", "apples"]


@pytest.mark.parametrize(
    "text", ["שלום", "你好", "مرحبا", "こんにちは", "ქართული", "สวัสดี", "한국", "17th", "", "…", "👍"]
)
def test_what_has_no_case_stays(text: str) -> None:
    assert sentence_case(text) == text


def test_special_cases() -> None:
    assert sentence_case("iyi", "tr") == "İyi"
    assert sentence_case("ijs", "nl") == "IJs"
    assert sentence_case("'tis") == "'Tis"
    assert sentence_case("ßa") == "Ssa"
    assert sentence_case("iPad") == "iPad"


@given(lines(), st.sampled_from(["en", "tr", "cmn", "he"]))
def test_casing_changes_nothing_else(items: list[Item], code: str) -> None:
    done = capitalise(items, pack(code), ["Hello a", "um"])
    for before, after in zip(items, done, strict=True):
        assert (before.start, before.end, type(before)) == (after.start, after.end, type(after))
        if code != "tr":
            assert before.text.casefold() == after.text.casefold()
    assert capitalise(done, pack(code), ["Hello a", "um"]) == done


# --- join


def test_attachment() -> None:
    items: list[Item] = [
        w("a"), m(",", attaches=Attaches.PREVIOUS), m("¿", attaches=Attaches.NEXT), w("b"),
        m("-", attaches=Attaches.BOTH), w("c"), m("–", attaches=Attaches.NONE), w("d"), m("."),
    ]  # fmt: skip
    assert join(items, EN) == "a, ¿b-c – d."
    assert join(items, pack("ja")) == "a,¿b-c–d."
    assert join([], EN) == ""
    assert join([m("."), w("x")], EN) == ". x"
    assert join([m("¿", attaches=Attaches.NEXT), m("¡", attaches=Attaches.NEXT), w("x")], EN) == "¿¡x"


def test_entities_show_their_written_form() -> None:
    entity = Entity(
        text="20\u00a0€", entity_class="money", spoken=(w("zwanzig"), w("Euro")), written=(), start=0, end=1
    )
    assert join([w("kostet"), entity, m(".")], pack("de")) == "kostet 20\u00a0€."


def test_direction_is_logical() -> None:
    assert join(said("שלום , עולם ."), pack("he")) == "שלום, עולם."


def test_the_reference_algorithm() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package tells its users to move on
        from speechmatics.adapters import join_tokens
    items = [*said("is it ? yes , it is ."), m("¿", attaches=Attaches.NEXT), w("x")]
    items += [m("-", attaches=Attaches.BOTH), w("y"), m("–", attaches=Attaches.NONE), w("z")]
    tokens = [
        {
            "type": "punctuation" if isinstance(item, Mark) else "word",
            "attaches_to": str(item.attaches) if isinstance(item, Mark) else None,
            "alternatives": [{"content": item.text}],
        }
        for item in items
    ]
    assert join(items, EN) == join_tokens(tokens, word_delimiter=" ")


@given(lines())
def test_joining_keeps_every_text(items: list[Item]) -> None:
    assert join(items, pack("ja")) == "".join(texts(items))


# --- sentences


def test_sentences() -> None:
    found = [join(each, EN) for each in sentences(said("we met . it rained , so what ? the end"))]
    assert found == ["we met.", "it rained, so what?", "the end"]
    assert list(sentences([])) == []


def test_sentences_of_two_channels_at_once() -> None:
    items: list[Item] = [
        w("how", channel="left"), w("I", channel="right"), w("are", channel="left"), w("think", channel="right"),
        w("you", channel="left"), m("?", channel="left"), m(".", channel="right"), w("so", channel="left"),
    ]  # fmt: skip
    assert [join(each, EN) for each in sentences(items)] == ["how are you?", "I think.", "so"]


def test_a_change_of_speaker_begins_a_sentence() -> None:
    items: list[Item] = [w("a", speaker="S1"), w("b", speaker="S2"), m("."), w("c", speaker="S2")]
    assert [join(each, EN) for each in sentences(items)] == ["a", "b.", "c"]


@given(lines())
def test_sentences_lose_nothing(items: list[Item]) -> None:
    found = list(sentences(items))
    assert sorted(texts([item for each in found for item in each])) == sorted(texts(items))
    assert all(len({item.channel for item in each}) == 1 for each in found)
    for channel in {item.channel for item in items}:
        alone = [item for each in found for item in each if item.channel == channel]
        assert alone == [item for item in items if item.channel == channel]


# --- remove_words


@given(lines(), st.sets(st.integers(0, 24)))
def test_removal_takes_words_and_marks_only(items: list[Item], gone: set[int]) -> None:
    doomed = {id(item) for index, item in enumerate(items) if index in gone and isinstance(item, Word)}
    left = remove_words(items, lambda word: id(word) in doomed)
    stay = [item for item in items if not isinstance(item, Mark) and id(item) not in doomed]
    assert [item.text.casefold() for item in left if not isinstance(item, Mark)] == [
        item.text.casefold() for item in stay
    ]
    assert sum(isinstance(item, Mark) for item in left) <= sum(isinstance(item, Mark) for item in items)
    assert remove_words(items, lambda _: False) != () or not items


def test_every_pack_has_a_full_stop() -> None:
    assert all(each.stops[0] in each.marks for each in PACKS.values())
