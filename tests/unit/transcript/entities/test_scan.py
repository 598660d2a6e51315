"""The rules of entities on single sentences, and the properties that hold for all of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.transcript.entities.languages import LANGUAGES, locale
from sottovoce.transcript.entities.locale import Locale
from sottovoce.transcript.entities.scan import find
from sottovoce.transcript.entities.values import CLASSES
from sottovoce.transcript.languages import PACKS
from tests.examples import examples
from tests.unit.transcript.transcript_values import said


def tables(code: str) -> Locale:
    found = locale(code)
    assert found is not None
    return found


def written(text: str, code: str = "en") -> tuple[str, list[str]]:
    """*text* with its entities as they are written, and their classes."""
    items = said(text)
    found = find(items, tables(code))
    shown: list[str] = []
    at = 0
    for span in found.spans:
        shown += [item.text for item in items[at : span.first]] + [span.text]
        at = span.last
    return " ".join([*shown, *(item.text for item in items[at:])]), [str(span.entity_class) for span in found.spans]


ENGLISH = [
    # the classes of the contract (§7.4)
    ("triple seven five four", "77754", "alphanum"),
    ("b seven q nine", "B7Q9", "alphanum"),
    ("nineteen people", "19 people", "cardinal"),
    ("two hundred and fifty thousand three hundred and twelve", "250,312", "cardinal"),
    ("minus sixty", "-60", "cardinal"),
    ("four hundred fifty million", "450 million", "cardinal"),
    ("eighteen point one two", "18.12", "decimal"),
    ("two and a half million people", "2.5 million people", "decimal"),
    ("three sixteenths of an inch", "3/16 of an inch", "fraction"),
    ("forty second", "42nd", "ordinal"),
    ("the one hundred and twenty first", "the 121st", "ordinal"),
    ("twenty dollars", "$20", "money"),
    ("seventy five dollars and sixty three cents", "$75.63", "money"),
    ("fifteen point two billion dollars", "$15.2 billion", "money"),
    ("one fifty five dollars", "$155", "money"),
    ("a hundred percent", "100%", "percentage"),
    ("fifteenth of january twenty twenty two", "15th of January 2022", "date"),
    ("july twenty five two thousand twelve", "July 25, 2012", "date"),
    ("nineteen eighties", "1980s", "date"),
    ("october nineteen oh five", "October 1905", "date"),
    ("seven fifty b c", "750 BC", "date"),
    ("eleven forty a m", "11:40 a.m.", "time"),
    ("quarter to twelve", "11:45", "time"),
    ("three o'clock", "3 o'clock", "time"),
    ("one hundred to two hundred million pounds", "100 to £200 million", "span"),
    ("five to ten percent", "5 to 10%", "span"),
    ("one one one one two two two two three three three three four four four four", "1111 2222 3333 4444", "credit card"),
    ("eight hundred five five five one two one two", "(800) 555-1212", "telephone"),
    ("plus four four two oh seven nine four six oh nine five eight", "+44 20 7946 0958", "telephone"),
    ("zero two three one two three five six seven eight", "023-123-5678", "telephone"),
    ("oh two oh seven nine four six oh nine five eight", "020 7946 0958", "telephone"),
    ("one eight hundred five five five one two one two", "1 800-555-1212", "telephone"),
    ("plus nine one nine eight seven six five four three two one oh", "+91 987-654-3210", "telephone"),
    ("two oh seven nine four six oh nine fifty eight", "(207) 946-0958", "telephone"),
    ("double five five one two one two extension thirty four", "555-1212 extension 34", "telephone"),
    ("one ninety two dot one sixty eight dot o dot one", "192.168.0.1", "electronic"),
    ("version one dot two dot three", "version 1.2.3", "alphanum"),
    ("my ssn is one two three four five six seven eight nine", "my ssn is 123-45-6789", "alphanum"),
    ("double u b dash one two three", "WB-123", "alphanum"),
    ("a ten eighty p screen", "a 1080p screen", "alphanum"),
    ("flight two twenty one", "flight 221", "alphanum"),
    ("twelve thirty four north main street", "1234 north main street", "alphanum"),
    ("anna twenty five at example dot com", "anna25@example.com", "electronic"),
    ("twenty million pounds of debt", "£20 million of debt", "money"),
    ("three thousand eight hundredth", "3,800th", "ordinal"),
    ("john dot smith at example dot com", "john.smith@example.com", "electronic"),
    ("w w w dot example dot org slash help", "www.example.org/help", "electronic"),
    ("thirty miles per hour", "30 mph", "measurement"),
    ("minus twenty degrees celsius", "-20 °C", "measurement"),
    ("eighteen thousand eight hundred giga watt hours", "18,800 GWh", "measurement"),
    # forms that an engine writes itself get the same result
    ("$5 million", "$5 million", "money"),
    ("5.2 million dollars", "$5.2 million", "money"),
    ("20,000 euros", "€20,000", "money"),
    ("800-555-1212", "(800) 555-1212", "telephone"),
    ("4242 4242 4242 4242", "4242 4242 4242 4242", "credit card"),
    ("3:45 p.m.", "3:45 p.m.", "time"),
    ("5pm", "5 p.m.", "time"),
    ("July 25th , 2012", "July 25th 2012", "date"),
    ("July 25 , 2012", "July 25th 2012", "date"),
    ("July 25th , 2000 and 12", "July 25th 2012", "date"),
    ("11.40 a.m.", "11:40 a.m.", "time"),
    ("60 km/h", "60 km/h", "measurement"),
    ("1990s", "1990s", "date"),
    ("bob@example.com", "bob@example.com", "electronic"),
    ("(841) 292-7056", "(841) 292-7056", "telephone"),
    ("+44 20 7946 0958", "+44 20 7946 0958", "telephone"),
    ("07700 900123", "07700 900123", "telephone"),
    ("call 292-7056", "call 292-7056", "telephone"),
    ("3782 822463 10005", "3782 822463 10005", "credit card"),
    ("799-12-3113", "799-12-3113", "alphanum"),
    ("192.168.0.1", "192.168.0.1", "electronic"),
    ("2 2/3", "2 2/3", "fraction"),
    ("4,896th", "4,896th", "ordinal"),
    ("PZ-8138", "PZ-8138", "alphanum"),
    ("B7-4-9", "B749", "alphanum"),
    ("2125550198", "(212) 555-0198", "telephone"),
    ("800-5555-1212", "800-5555-1212", "telephone"),  # a digit too many was heard
    ("card 4242 , 4242 , 4242 , 4242", "card 4242 4242 4242 4242", "credit card"),
    ("call 800 , 555 , 1212", "call (800) 555-1212", "telephone"),
    ("2 , 1 , 2 , 5 , 5 , 5 , 0 , 1 , 9 , 8", "(212) 555-0198", "telephone"),
    ("212-5550198", "(212) 555-0198", "telephone"),
    ("2-12-55-5-0198", "(212) 555-0198", "telephone"),
    ("$25.50 cents", "$25.50", "money"),
    ("a quarter past three", "3:15", "time"),
    ("zip code 90210", "zip code 90210", "alphanum"),
    ("66679 tickets", "66,679 tickets", "cardinal"),
    ("5 m/s", "5 m/s", "measurement"),
    ("twenty-five-year-old man", "25-year-old man", "cardinal"),
]  # fmt: skip


@pytest.mark.parametrize(("spoken", "text", "kind"), ENGLISH)
def test_english(spoken: str, text: str, kind: str) -> None:
    assert written(spoken) == (text, [kind])


def test_every_class_of_the_contract_is_found() -> None:
    assert {kind for _, _, kind in ENGLISH} == set(CLASSES)


@pytest.mark.parametrize(
    "text",
    [
        "one of the first ten people",
        "at this point five people left",
        "one , two , three",
        "I am two years old",
        "nine to five every day",
        "he lives at ten downing street",
        "the second world war",
        "half of it and a quarter",
        "may five people come",
        "one foot in the door",
        "at one point ten of them left",
        "six foot five",
        "zero",
        "one in a million",
        "33-4-692",
        "33-40-69",
        "the dot com bubble",
        "one dot two dot three dot four dot five",
    ],
)
def test_english_words_that_stay(text: str) -> None:
    assert written(text) == (text, [])


def test_digits_up_to_ten_become_words() -> None:
    """Engines that write digits and engines that write words give one result (contract §7.4: up to ten are words)."""
    assert written("5 people and the 2nd of 10 rooms")[0] == "five people and the second of ten rooms"
    assert written("007 and 20 people")[0] == "007 and 20 people"


def test_context_decides() -> None:
    assert written("the years 1990 , 1991 , 1992 , 1993")[0] == "the years 1990 , 1991 , 1992 , 1993"
    assert written("this card has one , two , three options")[0] == "this card has one , two , three options"
    assert written("my number is 5,551,234")[0] == "my number is 555-1234"
    assert written("we sold 5,551,234")[0] == "we sold 5,551,234"
    assert written("twenty pounds of flour for twenty pounds")[0] == "20 lb of flour for £20"
    assert written("meet me at facebook dot com")[0] == "meet me at facebook.com"
    assert written("at two thirty we met ten fifteen people")[0] == "at 2:30 we met ten 15 people"
    assert written("he won twenty one to three")[0] == "he won 21 to 3"


@pytest.mark.parametrize(
    ("code", "spoken", "text"),
    [
        ("de", "fünfundzwanzig euro fünfzig am dritten oktober", "25,50 € am 3. Oktober"),
        ("de", "einhunderteinundzwanzigste", "121."),
        ("de", "drei komma fünf millionen euro", "3,5 millionen €"),
        ("de", "zwanzigtausend menschen um halb drei", "20.000 menschen um 02:30 Uhr"),
        ("fr", "quatre-vingt-dix-neuf pour cent", "99 %"),
        ("fr", "vingt mille euros le premier mai mille neuf cent quatre-vingt-quatre", "20 000 € le 1er mai 1984"),
        ("fr", "zéro un quarante-deux trente-quatre cinquante-six soixante-dix-huit", "01 42 34 56 78"),
        ("es", "el quince de mayo de mil novecientos ochenta y cuatro", "el 15 de mayo de 1984"),
        ("es", "juan punto perez arroba ejemplo punto es", "juan.perez@ejemplo.es"),
        ("pt", "vinte e cinco reais e cinquenta centavos", "R$ 25,50"),
        ("pt", "às onze e trinta", "às 11:30"),
        ("de", "vierundzwanziguhr", "24 Uhr"),
        ("de", "zwanziguhrdreißig", "20:30 Uhr"),
        ("fr", "vingt centimes", "0,20 €"),
        ("fr", "vingt euros cinq", "20,05 €"),
        ("fr", "onze heures et trois quarts", "11 h 45"),
        ("fr", "un centième", "1/100"),
        ("es", "dos metros y medio y dos euros y medio", "2,5 m y 2,50 €"),
        ("es", "once cientounavos y un cuarentiunavo", "11/101 y 1/41"),
        ("es", "cuarto para las dos", "la 1:45"),
        ("es", "dos y media de la tarde", "2:30 de la tarde"),
        ("es", "vigésimo primer", "21.er"),
        ("es", "nueve uno cinco nueve nueve tres siete dos seis", "915 993 726"),
        ("pt", "dez do oito de dois mil", "10/08/2000"),
        ("pt", "às quinze para a meia noite", "às 23:45"),
        ("pt", "vinte e cinco centavos", "R$ 0,25"),
        ("nl", "€ 93", "€ 93"),
        ("it", "due milioni e mezzo di euro", "2,5 milioni €"),
        ("es", "dos millones y medio de personas", "2,5 millones de personas"),
        ("it", "duecentotrentaquattro persone alle tre e mezza", "234 persone alle 3:30"),
        ("it", "costa venticinque euro e cinquanta centesimi", "costa 25,50 €"),
        ("nl", "drieëntwintig maart", "23 maart"),
        ("nl", "vijfentwintig euro en vijftig cent", "€ 25,50"),
    ],
)
def test_other_languages(code: str, spoken: str, text: str) -> None:
    assert written(spoken, code)[0].replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "das ist ein haus und eine katze"),
        ("fr", "un homme et une femme"),
        ("es", "dos o tres cosas y a la una"),
        ("pt", "um homem e uma mulher à noite"),
        ("it", "è una bella casa con tre stanze"),
        ("nl", "zij achten hem een held"),
    ],
)
def test_words_of_other_languages_that_stay(code: str, text: str) -> None:
    assert written(text, code) == (text, [])


def test_the_packs_say_which_languages_have_tables() -> None:
    assert {code for code, pack in PACKS.items() if pack.itn} == LANGUAGES
    assert locale("ja") is None


def test_custom_words_stay() -> None:
    items = said("Area 51 and 51 people")
    assert [span.first for span in find(items, tables("en"), keep=["51"]).spans] == []


@pytest.mark.parametrize(
    ("text", "open_from"),
    [
        ("hello there", 2),
        ("it costs twenty", 2),
        ("it costs twenty five dollars", 2),
        ("it costs twenty five dollars today", 6),
        ("on july", 1),
        ("twenty .", 2),
        ("call five five five", 0),
        ("is 2 , 1 , 2 ,", 1),
    ],
)
def test_what_may_still_change(text: str, open_from: int) -> None:
    assert find(said(text), tables("en")).open_from == open_from


VOCABULARY = {
    "en": (
        "one two five ten twelve twenty thirty hundred thousand million and a half point oh percent dollars cents pounds july "
        "first third of twentieth to at dot com slash a m p b past quarter o'clock miles per hour minus plus double 5 20 1984 "
        "$5 20% 3:45 5pm 555-1234 1/2 bob the . ,"
    ),
    "de": "ein eins zwei fünf und zwanzig fünfundzwanzig hundert tausend komma prozent euro cent uhr halb juli ersten punkt 3. 20 €",
    "fr": "un deux cinq vingt quatre-vingts et cent mille virgule pour cent euros d'euros centimes heures midi moins quart mai 20 000",
    "it": "uno due cinque venti ventitré e cento mila mille virgola per cento euro alle mezza un quarto primo maggio punto it 20",
}


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_what_is_before_open_from_never_changes(data: st.DataObject) -> None:
    code = data.draw(st.sampled_from(sorted(VOCABULARY)))
    line = data.draw(st.lists(st.sampled_from(VOCABULARY[code].split()), min_size=1, max_size=14))
    items = said(" ".join(line))
    whole = find(items, tables(code))
    assert all(a.last <= b.first for a, b in zip(whole.spans, whole.spans[1:], strict=False))
    assert all(0 <= span.first < span.last <= len(items) and all(span.parts) for span in whole.spans)
    for end in range(len(items)):
        begun = find(items[:end], tables(code))
        stable = [span for span in begun.spans if span.first < begun.open_from]
        rest = find(items, tables(code), start=begun.open_from)
        assert all(span.last <= begun.open_from for span in stable)
        assert all(span.first >= begun.open_from for span in rest.spans)
        if "dot" not in line and "punkt" not in line and "punto" not in line and "at" not in line:
            assert [*stable, *rest.spans] == list(whole.spans)
