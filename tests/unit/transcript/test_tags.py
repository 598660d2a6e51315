from pathlib import Path

import pytest

from sottovoce.transcript.formatting import join, normalised
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Item
from sottovoce.transcript.tags import DISFLUENCIES, PROFANITIES, remove_disfluencies, tag_disfluencies, tag_profanities
from tests.unit.transcript.transcript_values import m, said, w

EN = pack("en")


def test_disfluencies_are_tagged() -> None:
    items = tag_disfluencies([w("Um"), m(","), w("we"), w("UH-HUH"), w("umbrella"), w("er")], EN)
    assert [getattr(item, "tags", None) for item in items] == [("disfluency",), None, (), ("disfluency",), (), ()]
    assert tag_disfluencies(items, EN) == items


def test_tags_add_up() -> None:
    (item,) = tag_disfluencies([w("um", tags=("profanity",))], EN)
    assert item == w("um", tags=("profanity", "disfluency"))


def test_the_words_own_language_decides() -> None:
    items = [w("um", language="de"), w("um", language="en"), w("um")]
    assert [bool(getattr(item, "tags", ())) for item in tag_disfluencies(items, pack("de"))] == [False, True, False]
    assert [bool(getattr(item, "tags", ())) for item in tag_disfluencies(items, pack("en_ms"))] == [False, True, True]


@pytest.mark.shared
def test_the_english_list_is_the_contracts(shared: Path) -> None:
    contract = (shared / "contract" / "batch-v2.md").read_text()
    line = next(line for line in contract.splitlines() if "English disfluency list: " in line)
    published = line.split("English disfluency list: ")[1].split(" [fmt]")[0].split()
    assert DISFLUENCIES["en"] == frozenset(published)


def test_profanities_are_exact_words() -> None:
    items = tag_profanities(said("Fuck that cock in Scunthorpe , bullshit classic"), EN)
    assert [item.text for item in items if getattr(item, "tags", ())] == ["Fuck", "bullshit"]
    assert {"it", "es", "en"} == set(PROFANITIES)
    assert getattr(tag_profanities([w("COÑO")], pack("es"))[0], "tags", None) == ("profanity",)
    assert getattr(tag_profanities([w("con\u0303o")], pack("es"))[0], "tags", None) == ("profanity",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Um we went home .", "We went home."),
        ("Um , we went home .", "We went home."),
        ("Um , uh , we went home .", "We went home."),
        ("I , um , think so .", "I think so."),
        ("I , um , uh , think so .", "I think so."),
        ("I think um , so .", "I think so."),
        ("So , um I think .", "So, I think."),
        ("It was good , um .", "It was good."),
        ("It was good um ?", "It was good?"),
        ("Um . We went home .", "We went home."),
        ("Good . Um . We went .", "Good. We went."),
        ("Good . um . we went .", "Good. we went."),
        ("Good . Um . we went .", "Good. we went."),
        ("um we went", "we went"),
        ("Um .", ""),
        ("Um , iPhone .", "iPhone."),
        ("uh", ""),
        ("", ""),
        ("We went , home .", "We went, home."),
    ],
)
def test_removal_repairs_capitals_and_marks(before: str, after: str) -> None:
    assert join(remove_disfluencies(said(before), EN), EN) == after


def test_a_moved_mark_stands_at_the_end_of_its_word() -> None:
    items: list[Item] = [w("good", 0, 1), m(",", 1), w("um", 2, 3), m(".", 3)]
    assert remove_disfluencies(items, EN) == (w("good", 0, 1), m(".", 1))


def test_speakers_do_not_take_over_marks() -> None:
    items: list[Item] = [w("good", speaker="S1"), w("Um", speaker="S2"), m(".", speaker="S2"), w("so", speaker="S1")]
    assert [item.text for item in remove_disfluencies(items, EN)] == ["good", "so"]


def test_channels_do_not_take_over_marks() -> None:
    items: list[Item] = [
        w("Yes", channel="left"), w("Um", channel="right"), w("sir", channel="left"), m(",", channel="right"),
        w("we", channel="right"), w("um", channel="left"), w("go", channel="right"), m(".", channel="left"),
    ]  # fmt: skip
    left = remove_disfluencies(items, EN)
    assert [item.text for item in left] == ["Yes", "sir", ".", "We", "go"]
    assert left[2].channel == "left"


def test_another_language_keeps_its_words() -> None:
    items = tuple(said("um die Ecke ."))
    assert remove_disfluencies(items, pack("de")) == items


def test_all_languages_of_the_contract_have_a_list() -> None:
    assert set(DISFLUENCIES) == {
        "ar",
        "da",
        "nl",
        "en",
        "fr",
        "de",
        "el",
        "he",
        "hi",
        "hu",
        "it",
        "ja",
        "cmn",
        "pl",
        "pt",
        "ru",
        "es",
    }
    assert all(normalised(word) == word for words in DISFLUENCIES.values() for word in words)


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("de", "Ähm , wir gehen , äh , um die Ecke .", "Wir gehen um die Ecke."),
        ("fr", "Euh , on y va .", "On y va."),
        ("es", "Eh , no sé .", "No sé."),
        ("it", "È una casa , ehm , grande .", "È una casa grande."),
        ("nl", "Een uhm huis .", "Een huis."),
    ],
)
def test_removal_in_other_languages(code: str, before: str, after: str) -> None:
    assert join(remove_disfluencies(said(before), pack(code)), pack(code)) == after


@pytest.mark.parametrize(
    "text", ["Scunthorpe", "the cock crowed", "Moby Dick", "oh my god", "gay rights", "Essex", "assess"]
)
def test_no_profanity_where_there_is_none(text: str) -> None:
    assert not any(getattr(item, "tags", ()) for item in tag_profanities(said(text), EN))


@pytest.mark.parametrize(
    ("code", "text", "tagged"),
    [
        ("en", "that bastard's bullshitting motherfuckers", ["bastard's", "bullshitting", "motherfuckers"]),
        ("es", "Jodió al maricón , chíngate", ["Jodió", "maricón", "chíngate"]),
        ("it", "che cazzata , stronzi incazzati", ["cazzata", "stronzi", "incazzati"]),
        ("es", "la disputa del diputado sobre la zorra y la hostia", []),
        ("it", "la guerra di Troia , il culto e la merenda", []),
        ("en", "Dick Cheney and Sussex cocktails , an assessment of Middlesex , the pussy willow , shiitake", []),
    ],
)
def test_inflections_are_tagged_and_other_words_are_not(code: str, text: str, tagged: list[str]) -> None:
    items = tag_profanities(said(text), pack(code))
    assert [item.text for item in items if getattr(item, "tags", ())] == tagged


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "das ist eh klar"),
        ("fr", "bah oui , ah bon"),
        ("it", "eh già , boh"),
        ("pt", "um homem"),
        ("es", "este hombre , pues sí"),
        ("ru", "да ну"),
        ("ar", "اه طبعا"),
        ("nl", "zo , nou ja"),
    ],
)
def test_words_with_a_meaning_are_no_disfluencies(code: str, text: str) -> None:
    assert not any(getattr(item, "tags", ()) for item in tag_disfluencies(said(text), pack(code)))
