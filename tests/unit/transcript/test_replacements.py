import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.errors import Kind, Refused
from sottovoce.request import Replacement
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Entity, Item, Mark, Word
from sottovoce.transcript.replacements import MAX_PATTERN, MAX_PATTERNS, MAX_WORD, apply, compile_rules
from tests.examples import examples
from tests.unit.transcript.transcript_values import lines, m, said, texts, w

EN = pack("en")


def rules(*pairs: tuple[str, str]):
    return compile_rules([Replacement(source=source, target=target) for source, target in pairs])


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    return join(apply(said(text), rules(*pairs)), EN)


def test_plain_words_are_case_sensitive() -> None:
    assert replaced("the Colour of colour , colours .", ("colour", "color")) == "the Colour of color, colours."


def test_what_is_not_matched_is_the_same() -> None:
    items = tuple(said("so it is ."))
    assert apply(items, rules(("x", "y"), ("/q+/", "z"))) == items
    assert apply(items, rules()) == items


def test_plain_rules_go_first_and_the_first_of_a_kind_wins() -> None:
    assert replaced("cat dog", ("/c/", "k"), ("cat", "lion"), ("cat", "lynx"), ("/o/", "u")) == "lion dug"


def test_a_word_is_touched_once() -> None:
    assert replaced("a b", ("a", "b"), ("b", "c"), ("/b/", "d"), ("/a/", "e")) == "b c"
    assert replaced("ab", ("/a/", "b"), ("/b/", "c")) == "bb"


def test_a_phrase_becomes_one_word() -> None:
    items: list[Item] = [
        w("big", 0, 1, confidence=0.9, volume=10.0), w("apple", 1, 2, confidence=0.4, volume=20.0, tags=("profanity",)),
        m(".", 2), w("big", 3, 4), m(",", 4), w("apple", 4, 5), w("big", 5, 6),
    ]  # fmt: skip
    done = apply(items, rules(("big apple", "New York"), ("big", "large")))
    assert texts(done) == ["New York", ".", "large", ",", "apple", "large"]
    assert done[0] == w("New York", 0, 2, confidence=0.4, volume=15.0, tags=("profanity",))


def test_the_longest_phrase_wins() -> None:
    assert replaced("a b c", ("a b", "x"), ("a  b\tc", "y"), ("a", "z")) == "y"


def test_a_phrase_is_of_one_speaker() -> None:
    items: list[Item] = [w("big", speaker="S1"), w("apple", speaker="S2")]
    assert apply(items, rules(("big apple", "x"))) == tuple(items)
    assert texts(apply([w("big apple")], rules(("big apple", "x")))) == ["x"]


def test_a_blank_target_removes_the_word() -> None:
    assert replaced("Darn , we went . darn . ok", ("Darn", ""), ("/^d.*$/", " ")) == "We went. ok"
    entity = Entity(text="$2", entity_class="money", spoken=(), written=(w("$2"),), start=0, end=1)
    assert apply([entity, m(".")], rules(("$2", ""))) == ()


def test_entities_are_matched_as_written() -> None:
    entity = Entity(text="$2", entity_class="money", spoken=(w("two"),), written=(w("$2"),), start=0, end=16_000)
    (done,) = apply([entity], rules((r"/\$(\d+)/", "$1 USD")))
    assert done == Entity(
        text="2 USD", entity_class="money", spoken=(w("two"),), written=(w("2 USD", 0, 1),), start=0, end=16_000
    )


@pytest.mark.parametrize(
    ("source", "target", "before", "after"),
    [
        ("/o/", "0", "foo", "f00"),
        ("/^(.)(.*)$/", "$2-$1", "abc", "bc-a"),
        ("/b/", "[$&$$$`$'$1$0$9$]", "abc", "a[b$ac$1$0$9$]c"),
        ("/(a)(b)?/", "<$1$2$3$10$02>", "ac", "<a$3a0>c"),
        ("/(?<x>a)(?<y>b)/", "$<y>$<x>$<z>!", "ab", "ba!"),
        ("/a/", "$<x>", "a", "$<x>"),
        ("/(?<q>a)\\k<q>/", "2", "aa", "2"),
        ("/(a)\\1/", "2", "aab", "2b"),
        ("/A/i", "x", "aA", "xx"),
        ("/A/gi", "x", "aA", "xx"),
        ("/É/iu", "x", "é", "x"),
        (r"/\d/", "x", "1٣", "x٣"),
        (r"/[\d]/", "x", "1٣", "x٣"),
        (r"/\w/", "x", "éa", "éx"),
        (r"/\W/", "x", "éa", "xa"),
        (r"/\bca/", "x", "éca", "éx"),
        (r"/[^\w]/", "x", "é_", "x_"),
        ("/a$/", "x", "aa", "ax"),
        (r"/a\/b/", "x", "a/b", "x"),
        ("/a/b/", "x", "a/b", "x"),
        ("/[/]/", "x", "a/b", "axb"),
        ("/[]/", "x", "a", "a"),
        ("/[^]/", "x", "ab", "xx"),
        ("/[a[]/", "x", "a[]", "xx]"),
        ("/[a&&b|~-]/", "x", "a&|-~c", "xxxxxc"),
        ("/[!--]/", "x", "-.", "x."),
        (r"/\u0061\x62\u{63}\cJ?/", "x", "abc", "x"),
        (r"/\e\A\z/", "x", "eAz", "x"),
        ("/a{,2}/", "x", "a{,2}", "x"),
        ("/a{2}/", "x", "aaa", "xa"),
        ("/a{1,}?/", "x", "aaa", "xxx"),
        ("/x{/", "y", "x{", "y"),
        ("/(?:a|b)(?=c)(?!d)(?<=b)(?<!a)/", "x", "acbc", "acxc"),
        ("/./", "x", "👍", "x"),
        ("/(\\d+,)*\\d+$/", "n", "1,234,567", "n"),
        ("/(?:\\w+-)+\\w+/", "n", "a-b-c", "n"),
        ("/(a+)?b/", "n", "aab", "n"),
        ("/colou?rs?/", "hue", "colours", "hue"),
        ("/^$/", "x", "a", "a"),
        ("/x*/", "-", "ab", "-a-b-"),
    ],
)  # fmt: skip
def test_ecmascript(source: str, target: str, before: str, after: str) -> None:
    (item,) = apply([w(before)], rules((source, target)))
    assert item.text == after


@pytest.mark.parametrize("source", ["/", "//", "/x", "/usr/bin", "x/y/", "a/"])
def test_plain_although_slashed(source: str) -> None:
    assert texts(apply([w(source), w("x")], rules((source, "hit")))) == ["hit", "x"]


@pytest.mark.parametrize(
    "source",
    [
        "/(/", "/)/", "/a)/", "/(a/", "/[a/", "/*/", "/a**/", "/a*+/", "/a{2}{3}/", "/+a/", "/(?a)/", "/(?i)a/",
        "/(?P<n>a)/", "/(?>a)/", "/(?#a)/", "/(?(1)a)/", "/(?<1>a)/", "/(?<a>b)(?<a>c)/", "/[b-a]/", "/\\/",
        r"/\p{L}/u", r"/\k<x>/", r"/\k/", "/a/y", "/a/v", "/a/ii", "/(?<=a+)b/", r"/\u{110000}/", r"/\u{ffffff}/",
        "/a{99999999999999999999}/", "/a{3,2}/", "/\\2(a)/", "/^*/",
        "/" + "a" * (MAX_PATTERN + 1) + "/",
    ],
)  # fmt: skip
def test_malformed_regexes_are_refused(source: str) -> None:
    with pytest.raises(Refused) as refused:
        rules(("x", "y"), (source, "x"))
    assert refused.value.kind is Kind.INVALID_CONFIG
    assert refused.value.at == "transcript_filtering_config.replacements[1].from"


@pytest.mark.parametrize("source", ["", "  ", "\t", "a " * 21])
def test_an_empty_source_or_a_whole_page_is_refused(source: str) -> None:
    with pytest.raises(Refused, match=re.escape("replacements[0].from: must be 1 to 20 words")):
        rules((source, "x"))


@pytest.mark.parametrize(
    "source",
    [
        "/(a+)+b/", "/(a*)*/", "/(?:a+){4,}/", "/(?<x>a+)*$/", r"/(\w+\s?)*$/", "/((a+))+/", "/(a|b+)*/", "/((a*b?)+)/",
        "/(a+){30}/", "/(?:(?:x+)?y*)+/", "/(a{2,})*/", "/((?=b)a+)+/", "/([ab]+)+/", "/(.*)*/", r"/(\d{1,9})+x/",
    ],
)  # fmt: skip
def test_loops_of_loops_are_refused(source: str) -> None:
    with pytest.raises(Refused, match="loop"):
        rules((source, "x"))


def test_all_regexes_together_have_a_limit() -> None:
    whole = MAX_PATTERNS // MAX_PATTERN
    rules(*(("/" + "a" * MAX_PATTERN + "/", "x") for _ in range(whole)), ("plain", "x"))
    with pytest.raises(Refused, match=re.escape(f"replacements[{whole}].from: the regular expressions have more than")):
        rules(*(("/" + "a" * MAX_PATTERN + "/", "x") for _ in range(whole)), ("/a/", "x"))


def test_long_words_are_left_to_plain_rules() -> None:
    word = "a" * (MAX_WORD + 1)
    assert texts(apply([w(word), w("a" * MAX_WORD)], rules(("/a/", "b")))) == [word, "b" * MAX_WORD]
    assert texts(apply([w(word)], rules((word, "b")))) == ["b"]


@given(
    st.text(st.sampled_from("ab()[]{}|*+?\\^$.-1,<=!:kdwbux/ "), max_size=14),
    st.text(st.sampled_from("$1&<a>`'0"), max_size=6),
)
@settings(max_examples=examples(400))
def test_any_regex_works_or_is_refused(source: str, target: str) -> None:
    with contextlib.suppress(Refused):  # nothing else comes out
        apply([w("ab1-x")], rules((f"/{source}/", target)))


def test_deep_nesting_works_or_is_refused() -> None:
    with contextlib.suppress(Refused):
        apply([w("x")], rules(("/" + "(?:" * 240 + "x" + ")" * 240 + "/", "y")))


@given(st.text(min_size=1, max_size=8).filter(lambda text: text.split() == [text]), st.text(max_size=5))
def test_any_literal_word(source: str, target: str) -> None:
    escaped = re.sub(r"([\\^$.*+?()\[\]{}|/])", r"\\\1", source)
    (plain, other) = apply([w(source), w("?!")], rules((f"/^{escaped}$/", "hit")))
    assert plain.text == "hit"
    assert other.text == ("hit" if source == "?!" else "?!")


@given(lines())
def test_only_texts_of_matched_words_change(items: list[Item]) -> None:
    done = apply(items, rules(("um", "er"), ("/^hel/", "$&$&")))
    for before, after in zip(items, done, strict=True):
        assert (before.start, before.end) == (after.start, after.end)
        if isinstance(before, Mark) or before.text not in {"um", "hello"}:
            assert after == before
        elif isinstance(before, Word):
            assert after.text == {"um": "er", "hello": "helhello"}[before.text]
