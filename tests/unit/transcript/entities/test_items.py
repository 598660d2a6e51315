"""Entities as items: times, spoken and written forms, and the words that they are shown as."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.transcript import tags, verbalization
from sottovoce.transcript.entities.items import as_spoken, as_words, rewrite
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Entity, Item, Mark, Word
from tests.examples import examples
from tests.unit.transcript.transcript_values import m, said, texts, w

EN = pack("en")


def speak(words: Sequence[str]) -> list[Sequence[str]]:
    return [ways[0] if ways else () for ways in verbalization.spoken(words, "en")]


def rewritten(items: Sequence[Item], keep: tuple[str, ...] = ()) -> tuple[Item, ...]:
    return rewrite(items, EN, speak, keep)


def entity(items: Sequence[Item]) -> Entity:
    (found,) = [item for item in items if isinstance(item, Entity)]
    return found


def test_an_entity_has_its_words_and_their_times() -> None:
    line = said("it costs twenty five dollars now", confidence=0.9)
    found = entity(rewritten([*line[:3], replace(line[3], confidence=0.5), *line[4:]]))
    assert (found.text, found.entity_class, found.confidence) == ("$25", "money", 0.5)
    assert [word.text for word in found.spoken] == ["twenty", "five", "dollars"]
    assert (found.start, found.end) == (line[2].start, line[4].end)
    assert [(word.text, word.start, word.end) for word in found.written] == [("$25", line[2].start, line[4].end)]


def test_written_words_share_the_time() -> None:
    found = entity(rewritten(said("fifteenth of january twenty twenty two")))
    assert [word.text for word in found.written] == ["15th", "of", "January", "2022"]
    assert found.written[0].start == found.start
    assert found.written[-1].end == found.end
    assert all(a.end == b.start for a, b in zip(found.written, found.written[1:], strict=False))


def test_digits_get_their_spoken_form() -> None:
    found = entity(rewritten([w("$5", 0, 1), w("million", 1, 2)]))
    assert [word.text for word in found.spoken] == ["five", "million", "dollars"]
    assert [round(word.end / 16_000, 2) for word in found.spoken] == [1.0, 1.5, 2.0]
    other = rewrite([w("3,5", 0, 1), w("%", 1, 2)], pack("de"), lambda _: [("drei", "komma", "fünf"), ()])
    assert [word.text for word in entity(other).spoken] == ["drei", "komma", "fünf", "Prozent"]


def test_digits_that_are_said_one_by_one_are_spelled() -> None:
    found = entity(rewritten([w("+44", 0, 1), w("20", 1, 2), w("7946", 2, 3), w("0958", 3, 4)]))
    assert (
        " ".join(part.text for part in found.spoken)
        == "plus four four two zero seven nine four six zero nine five eight"
    )
    assert (found.spoken[0].start, found.spoken[-1].end) == (found.start, found.end)
    address = entity(rewritten([w("10.0.0.254", 0, 1)]))
    assert " ".join(part.text for part in address.spoken) == "ten dot zero dot zero dot two hundred fifty four"


def test_fractions_are_read_as_fractions() -> None:
    found = entity(rewritten([w("2", 0, 1), w("13/97", 1, 2)]))
    assert " ".join(part.text for part in found.spoken) == "two and thirteen ninety sevenths"


def test_cents_are_said_once() -> None:
    found = entity(rewritten([w("$25.50", 0, 1), w("cents", 1, 2)]))
    assert " ".join(part.text for part in found.spoken) == "twenty five dollars and fifty cents"
    assert (found.text, found.spoken[-1].end, found.end) == ("$25.50", 32_000, 32_000)


def test_a_sign_before_its_number_is_said_after_it() -> None:
    found = rewrite(
        [w("€", 0, 1), w("93", 1, 2)], pack("nl"), lambda texts: [["drieënnegentig"][: t.isdecimal()] for t in texts]
    )
    assert [part.text for part in entity(found).spoken] == ["drieënnegentig", "euro"]
    assert (entity(found).spoken[0].start, entity(found).spoken[-1].end) == (0, 32_000)


def test_a_time_with_a_dot_is_spoken_as_a_time() -> None:
    found = entity(rewritten([w("at"), w("11.40", 0, 1), w("a.m.", 1, 2)]))
    assert (found.text, [word.text for word in found.spoken]) == ("11:40 a.m.", ["eleven", "forty", "a", "m"])


def test_digits_of_a_small_number_become_a_word() -> None:
    assert texts(rewritten([w("5"), w("people"), m("."), w("5"), w("years")])) == [
        "Five",
        "people",
        ".",
        "Five",
        "years",
    ]
    assert texts(rewritten(said("about 5 people"))) == ["about", "five", "people"]


def test_no_entity_spans_two_speakers() -> None:
    line = [w("twenty", speaker="S1"), w("five", speaker="S2")]
    assert texts(rewritten(line)) == ["20", "five"]


def test_a_full_stop_replaces_the_dot_of_the_time() -> None:
    assert join(rewritten(said("at eleven forty p m .")), EN) == "at 11:40 p.m."
    assert join(rewritten(said("at eleven forty p m today .")), EN) == "at 11:40 p.m. today."


def test_custom_words_stay() -> None:
    assert texts(rewritten(said("Area 51 and 52"), keep=("Area 51",))) == ["Area", "51", "and", "52"]
    assert not isinstance(rewritten(said("Area 51"), keep=("Area 51",))[1], Entity)


def test_a_language_without_tables_is_unchanged() -> None:
    line = tuple(said("dwadzieścia pięć 5"))
    assert rewrite(line, pack("pl"), speak) == line


def test_as_words_shows_what_is_written() -> None:
    (first, second) = as_words(rewritten([w("$5", 0, 1, volume=3.0, confidence=0.5), w("million", 1, 2, volume=3.0)]))
    assert isinstance(first, Word)
    assert (first.text, second.text, first.volume, first.confidence) == ("$5", "million", 3.0, 0.5)
    whole = Entity(text="£20", entity_class="money", spoken=(), written=(), start=1, end=5)
    assert [(word.text, word.start, word.end) for word in as_words([whole, m(",")])] == [("£20", 1, 5), (",", 0, 0)]


def test_as_spoken_shows_what_is_said() -> None:
    assert texts(list(as_spoken(rewritten(said("it costs twenty dollars ."))))) == [
        "it",
        "costs",
        "twenty",
        "dollars",
        ".",
    ]
    whole = Entity(text="£20", entity_class="money", spoken=(), written=(), start=1, end=5)
    assert texts(list(as_spoken([whole]))) == ["£20"]


WORDS = [
    "twenty",
    "five",
    "dollars",
    "um",
    "and",
    "20",
    "$5",
    "a.m.",
    "at",
    "three",
    "p",
    "m",
    "percent",
    "half",
    "dot",
    "com",
    ".",
    ",",
    "july",
    "first",
    "uh",
    "we",
    "2nd",
    "oh",
    "double",
    "dash",
    "call",
    "extension",
    "plus",
    "minus",
    "to",
    "b",
    "street",
    "hundred",
    "million",
    "point",
    "room",
    "2/3",
    "(800)",
    "555-1212",
    "+44",
    "4,896th",
    "PZ-813",
    "90210",
    "12.5",
    "$",
    "€",
    "anna",
    "one",
]


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=15))
def test_no_word_is_lost_and_a_second_time_changes_nothing(line: list[str]) -> None:
    items = said(" ".join(line))
    once = rewritten(items)
    assert rewritten(once) == once
    spoken = [part for item in once for part in (item.spoken if isinstance(item, Entity) else (item,))]
    if not any(char.isdigit() or char in "$€" for char in "".join(line)):
        assert [part.text.casefold() for part in spoken] == [item.text.casefold() for item in items]
    for item in once:
        if isinstance(item, Entity):
            assert (item.spoken[0].start, max(part.end for part in item.spoken)) == (item.start, item.end)
            assert (item.written[0].start, item.written[-1].end) == (item.start, item.end)
            assert all(part.start <= part.end for part in (*item.spoken, *item.written))
    assert join(as_words(once), EN).replace(" ", "") == join(once, EN).replace(" ", "")


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_removed_disfluencies_change_no_other_word(line: list[str]) -> None:
    items = said(" ".join(line))
    kept = [item.text.casefold() for item in items if isinstance(item, Word) and item.text not in {"um", "uh"}]
    left = tags.remove_disfluencies(items, EN)
    assert [item.text.casefold() for item in left if isinstance(item, Word)] == kept
    assert all(isinstance(item, Word | Mark) for item in left)


LINES = {
    "de": "zwanzig fünfundzwanzig und euro cent uhr halb drei ersten mai komma punkt 20 3. € hundert tausend minus bis ähm",
    "fr": "vingt et un euros centimes heures demi premier mai virgule point 20 000 € cent mille moins à deux tiers euh",
    "es": "veinte y uno euros céntimos las tres media cuarto para mayo de coma punto 20 € ciento mil medio avos eh",
    "pt": "vinte e um reais centavos às três meia do de maio vírgula ponto 20 R$ cem mil meio ahn",
    "it": "venti e uno euro centesimi alle tre mezza primo maggio virgola punto 20 € cento mila mezzo ehm",
    "nl": "twintig en een euro cent uur half drie eerste mei komma punt 20 € honderd duizend tot uhm",
}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_word_is_lost_in_other_languages(data: st.DataObject) -> None:
    code = data.draw(st.sampled_from(sorted(LINES)))
    line = data.draw(st.lists(st.sampled_from(LINES[code].split()), max_size=12))
    items = said(" ".join(line))

    def read(words: Sequence[str]) -> list[Sequence[str]]:
        return [ways[0] if ways else () for ways in verbalization.spoken(words, code)]

    once = rewrite(items, pack(code), read)
    assert rewrite(once, pack(code), read) == once
    spoken = list(as_spoken(once))
    if not any(sign.isdecimal() or sign in "€$" for sign in "".join(line)):
        assert [part.text.casefold() for part in spoken] == [item.text.casefold() for item in items]
    for item in once:
        if isinstance(item, Entity):
            assert (item.spoken[0].start, max(part.end for part in item.spoken)) == (item.start, item.end)
            assert (item.written[0].start, item.written[-1].end) == (item.start, item.end)
