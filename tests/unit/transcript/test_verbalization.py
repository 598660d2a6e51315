"""How written words are said."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.transcript.languages import PACKS
from sottovoce.transcript.verbalization import spoken
from sottovoce.transcript.verbalization.addresses import address
from sottovoce.transcript.verbalization.number_words import MAX_DIGITS, named, point
from sottovoce.transcript.verbalization.numbers import roman
from sottovoce.transcript.verbalization.variants import MAX_TOKENS, MAX_WAYS, joined
from tests.examples import examples


def said(text: str, language: str = "en") -> list[list[str]]:
    """The ways of each word of *text*, tokens parted by blanks."""
    return [[" ".join(way) for way in ways] for ways in spoken(text.split(" "), language)]


def first(text: str, language: str = "en") -> str:
    """The likeliest reading of a whole text."""
    return " ".join(ways[0] for ways in said(text, language) if ways)


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("Hello, world!", "hello world"),
        ("“Don’t” (he said) [laughs]", "don't he said laughs"),
        (
            "Dr. Smith and Mrs. Jones vs. Prof. Lee, etc.",
            "doctor smith and missus jones versus professor lee et cetera",
        ),
        ("St. John lives at 5 Main St. now", "saint john lives at five main street now"),
        ("Dr. Who of 5 Park Dr. came", "doctor who of five park drive came"),
        ("No. 5 said No.", "number five said no"),
        ("e.g. this, i.e. that", "for example this i e that"),
        ("the U.S. and a Ph.D.", "the u s and a p h d"),
        ("BBC A4 B2B mp3 COVID-19 F-16", "bbc a four b two b mp three covid nineteen f sixteen"),
        ("café naïve Łódź Ærø ﬁne", "cafe naive lodz aero fine"),
        ("e-mail, and/or well-known", "e mail and or well known"),
        ("word—another wait…what", "word another wait what"),
        ("Louis XIV and Henry VIII", "louis the fourteenth and henry the eighth"),
        ("World War II, Part III", "world war two part three"),
        ("AT&T #metoo @user", "a t and t hashtag metoo at user"),
        ("Jan. 5 and Feb 6", "january fifth and february sixth"),
    ],
)
def test_words_are_said_without_their_punctuation_and_in_full(text: str, reading: str) -> None:
    assert first(text) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("0 7 21 100 1,234,567", "zero seven twenty one one hundred one million two hundred thirty four thousand five hundred sixty seven"),
        ("1984 1905 1900 2005 2010 1066", "nineteen eighty four nineteen oh five nineteen hundred two thousand five twenty ten one thousand sixty six"),
        ("3.14 0.5 .5 -5 −3", "three point one four zero point five point five minus five minus three"),
        ("21st 2nd 100th", "twenty first second one hundredth"),
        ("1980s '90s 80's 2000s", "nineteen eighties nineties eighties two thousands"),
        ("1/2 3/4 ¾ 1½ 2 1/3 24/7 9/11", "one half three quarters three quarters one and a half two and a third twenty four seven nine eleven"),
        ("50% 20-30% 10–12", "fifty percent twenty to thirty percent ten to twelve"),
        ("1990–1995", "nineteen ninety to nineteen ninety five"),
        ("5km 10 kg 20°C 60km/h 4x4", "five kilometers ten kilograms twenty degrees celsius sixty kilometers per hour four by four"),
        ("5'11\" 1km", "five foot eleven one kilometer"),
        ("#5 №7 v2.0", "number five number seven v two point zero"),
        ("１２３ ٣ 5\u00a0000 5\u00a0kg", "one hundred twenty three three five thousand five kilograms"),
        ("007 192.168.0.1", "zero zero seven one hundred ninety two point one hundred sixty eight point zero point one"),
        ("555-1234 (555)", "five five five one two three four five five five"),
        ("5-year-old mid-1980s", "five year old mid nineteen eighties"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_what_they_count(text: str, reading: str) -> None:
    assert first(text) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("$5 $1 £1.50 $3.99 €20 20€ ¥100", "five dollars one dollar one pound fifty three dollars and ninety nine cents twenty euros twenty euros one hundred yen"),
        ("$5 million", "five million dollars"),
        ("$1.5 billion", "one point five billion dollars"),
        ("£5m $1.5bn $5-million", "five million pounds one point five billion dollars five million dollars"),
        ("$5-10 $0.50 -$5", "five to ten dollars fifty cents minus five dollars"),
    ],
)  # fmt: skip
def test_money_is_named_after_its_amount(text: str, reading: str) -> None:
    assert first(text) == reading


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        (
            "3:45 3:05 3:00 3:45pm 3 pm 10am",
            "three forty five three oh five three o'clock three forty five p m three p m ten a m",
        ),
        ("17:00 9.30pm at 9.30", "seventeen hundred nine thirty p m at nine thirty"),
        ("June 5, 1984", "june fifth nineteen eighty four"),
        ("5 June 1984", "fifth june nineteen eighty four"),
        ("12/05/1984 1984-05-12", "december fifth nineteen eighty four may twelfth nineteen eighty four"),
        ("31.12.1999", "the thirty first of december nineteen ninety nine"),
    ],
)
def test_clocks_and_dates_are_read_as_such(text: str, reading: str) -> None:
    assert first(text) == reading


@pytest.mark.parametrize(
    ("text", "word", "ways"),
    [
        ("$5 million", 1, {"million dollars", "million"}),
        ("June 5", 1, {"fifth", "five", "the fifth"}),
        ("5 June", 1, {"june", "of june"}),
        ("1984", 0, {"nineteen eighty four", "one thousand nine hundred and eighty four", "one nine eight four"}),
        ("2010", 0, {"twenty ten", "two thousand ten", "two thousand and ten"}),
        ("12/05/1984", 0, {"december fifth nineteen eighty four", "the twelfth of may nineteen eighty four"}),
        ("9.30", 0, {"nine point three zero", "nine thirty"}),
        ("305", 0, {"three hundred five", "three hundred and five", "three oh five", "three zero five"}),
        ("5551204", 0, {"five five five one two zero four", "five five five one two oh four"}),
        ("10-12", 0, {"ten to twelve", "ten twelve"}),
        ("17:00", 0, {"seventeen hundred", "five p m", "five o'clock"}),
        ("Louis XIV", 1, {"the fourteenth", "fourteen", "x i v"}),
        ("BBC", 0, {"bbc", "b b c"}),
        ("TVs", 0, {"t v's"}),
        ("Jones'", 0, {"jones", "jones'"}),
        ("&", 0, {"and"}),
        ("°", 0, {"degrees"}),
        ("×", 0, {"times", "by"}),
        ("÷", 0, {"divided by"}),
        ("<", 0, {"less than"}),
        ("#", 0, {"number", "hashtag"}),
        ("£1.50", 0, {"one pound fifty", "one pound and fifty pence", "one fifty"}),
    ],
)
def test_every_usual_way_is_among_them(text: str, word: int, ways: set[str]) -> None:
    assert ways <= set(said(text)[word])


@pytest.mark.parametrize(
    "text", ["—", "-", "*", "…", '"', "''", "--", "(", "¿?", "\u200b", "\x00", "\ud800", "", "***", "♪", "###", "+---+"]
)
@pytest.mark.parametrize("language", ["en", "de", "ja", "xx"])
def test_nobody_says_punctuation(text: str, language: str) -> None:
    assert spoken([text], language) == [()]


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("www.example.com/a", "w w w dot example dot com slash a"),
        ("https://example.org/x-1?q=2", "example dot org slash x dash one question mark q equals two"),
        ("joe.bloggs@example.co.uk,", "joe dot bloggs at example dot co dot u k"),
        ("(example.net)", "example dot net"),
    ],
)
def test_addresses_are_read_sign_by_sign(text: str, reading: str) -> None:
    assert first(text) == reading


def test_a_scheme_may_be_said() -> None:
    assert any(way[:8] == ("h", "t", "t", "p", "s", "colon", "slash", "slash") for way in address("https://a.com"))


@pytest.mark.parametrize(
    ("text", "language", "reading"),
    [
        ("L’homme peut-être, ÇA", "fr", "l'homme peut être ça"),
        ("Straße 21 3,14 1.234,5 1984", "de", "straße einundzwanzig drei komma eins vier eintausendzweihundertvierunddreißig komma fünf neunzehnhundertvierundachtzig"),
        ("2.000 0171", "de", "zweitausend null eins sieben eins"),
        ("cafe\u0301", "fr", "café"),
        ("В 21 год", "ru", "в двадцать один год"),
        ("5 000 €", "fr", "cinq zéro zéro zéro"),
        ("5\u00a0000 €", "fr", "cinq mille"),
        ("٣ في", "ar", "ثلاثة في"),
        ('צה"ל', "he", "צהל"),
        ("IŞIK İstanbul", "tr", "ışık istanbul"),
        ("हिन्दी में", "hi", "हिन्दी में"),
        ("கிமீ5", "ta", "கிமீ ஐந்து"),
        ("1984年に、東京で。", "ja", "千九百八十四年に東京で"),
        ("ทำ3", "th", "ทำสาม"),
        ("1984年 10005", "cmn", "一九八四年 一万零五"),
        ("2005年 0.5 110", "cmn", "二零零五年 零点五 一百一十"),
        ("１９０５年 3.05", "yue", "一九零五年 三點零五"),
        ("0.5 5000", "ja", "零点五 五千"),
        ("21 3,14 1984 г.", "bg", "двайсет и едно три цяло и едно четири хиляда деветстотин осемдесет и четири г"),
        ("21 3,14 5000", "el", "είκοσι ένα τρία κόμμα ένα τέσσερα πέντε χιλιάδες"),
        ("२१ 3.14 1,00,000", "hi", "इक्कीस तीन दशमलव एक चार एक लाख"),
        ("21 3,14 2000.", "hr", "dvadeset i jedan tri zarez jedan četiri dvije tisuće"),
        ("8 3.14 1,500", "ms", "lapan tiga perpuluhan satu empat seribu lima ratus"),
        ("3,14 1984", "ru", "три запятая один четыре одна тысяча девятьсот восемьдесят четыре"),
        ("3,14", "pl", "trzy przecinek jeden cztery"),
        ("3 5", "ro", "trei cinci"),
        ("6", "ro", "șase"),
        ("1", "be", "адзін"),
        ("21 3000", "sl", "enaindvajset tri tisoč"),
        ("100.000", "lt", "šimtas tūkstančių"),
        ("20,000", "ga", "fiche míle"),
        ("1402", "fa", "هزار و چهارصد و دو"),
        ("1984", "fr", "mille neuf cent quatre vingt quatre"),
        ("1984", "sv", "nittonhundraåttiofyra"),
        ("25", "th", "ยี่สิบห้า"),
        ("5 2.5", "sw", "tano mbili nukta tano"),
        ("手机 5 OK", "cmn_en", "手机 五 okay"),
        ("saya $5 ke-2", "en_ms", "saya five dollars ke two"),
        ("தமிழ் 5 Dr.", "en_ta", "தமிழ் five doctor"),
        ("abc-5x", "xx", "abc x"),
    ],
)  # fmt: skip
def test_other_languages_keep_their_letters_and_numerals(text: str, language: str, reading: str) -> None:
    assert first(text, language) == reading


def test_numbers_of_a_language_without_numerals_are_passed_over() -> None:
    assert said("জন 5 5km", "bn") == [["জন"], [], ["km"]]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "零"), (10, "十"), (21, "二十一"), (105, "一百零五"), (110, "一百一十"), (2_005, "二千零五"), (10_010, "一万零一十"),
     (100_000, "十万"), (123_456_789, "一亿二千三百四十五万六千七百八十九"), (100_000_001, "一亿零一"), (20_000_000, "二千万")],
)  # fmt: skip
def test_chinese_numerals_have_one_zero_a_gap(number: int, text: str) -> None:
    assert [text] in [way.split() for ways in said(str(number), "cmn") for way in ways]


@pytest.mark.parametrize(
    ("text", "language", "ways"),
    [("1984", "ja", {"千九百八十四", "一九八四"}), ("1984", "fr", {"dix neuf cent quatre vingt quatre"}),
     ("1984", "de", {"eintausendneunhundertvierundachtzig", "eins neun acht vier"}), ("3,14", "de", {"drei komma vierzehn"}),
     ("2019", "cmn", {"二零一九", "二千零一十九"})],
)  # fmt: skip
def test_other_languages_have_further_ways(text: str, language: str, ways: set[str]) -> None:
    assert ways <= set(said(text, language)[0])


NUMBERED = sorted(code for code in PACKS if named(1, code))


def test_most_languages_of_the_contract_have_words_for_numbers() -> None:
    without = {code for code in PACKS if "_" not in code} - set(NUMBERED)
    assert without == {"ba", "bn", "eu", "gl", "ia", "mn", "mr", "tl", "ug", "ur"}  # tl is read as English is


@pytest.mark.parametrize("language", NUMBERED)
def test_different_numbers_have_different_words(language: str) -> None:
    numbers = {
        *range(2_200),
        *range(2_200, 100_000, 891),
        *(many * 10**zeros for many in (1, 2, 3, 12, 20, 101) for zeros in range(4, 13)),
    }
    words = {named(number, language) for number in numbers | {10**MAX_DIGITS - 1}}
    assert () not in words
    assert len(words) == len(numbers) + 1


@pytest.mark.parametrize("language", NUMBERED)
def test_every_language_with_numbers_names_the_decimal_sign(language: str) -> None:
    assert point(language)


@pytest.mark.parametrize("language", ["", "xx", "root", "../rbnf/de", "de.xml", "de\0", "x" * 10_000])
def test_a_name_that_is_no_language_has_no_numbers(language: str) -> None:
    assert named(5, language) == ()
    assert point(language) == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [("I", 1), ("IV", 4), ("XIV", 14), ("XXXIX", 39), ("LIX", 59), ("IIII", None), ("CD", None), ("", None)],
)
def test_roman_numerals_are_read_when_well_formed(text: str, value: int | None) -> None:
    assert roman(text) == value


def test_fewest_unlikely_choices_come_first() -> None:
    two = (("a",), ("b",))
    assert joined((two, two)) == (("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"))


HOSTILE = [
    "9" * 10_000, "a" * 1_000_000, "9" * 1_000_000, "1," * 50_000, "1/" * 50_000, "-" * 100_000 + "x", "1-" * 50_000, "a'" * 50_000,
    "a\u0301" * 100_000, "\u0301" * 1_000, "\ufdfa" * 5_000, "½" * 5_000, "\u202eabc\u202c", "a\ud800b", "\x00\x1b", "www." + "a." * 9_000,
    "a@" + "b-" * 9_000, "$" * 9_000, "$" + "9" * 40 + ".99", "9" * 31 + "th", "9" * 29 + "km", "1:" * 9_000, "." * 9_000 + "5",
    "(" * 9_000 + "5)", "1." * 9_000, "IVXL" * 9_000, "'" * 9_000, "0" * 9_000, "+" + "1" * 9_000, "0/0", "1/0", "99:99", "00:00am",
    "99/99/9999", "0000-00-00", "0th", "0s", "00s", "$.5", "$,", "£0.00", ",5", "5,", "-.5", "²", "①", "Ⅳ", "৴", "𝟙𝟚", "ᾳ", "ß",
]  # fmt: skip


def check(words: list[str], language: str) -> None:
    ways = spoken(words, language)
    assert len(ways) == len(words)
    for of_one in ways:
        assert len(of_one) <= MAX_WAYS
        assert len(set(of_one)) == len(of_one)
        for way in of_one:
            assert 0 < len(way) <= MAX_TOKENS
            for token in way:
                assert token
                assert token != "'"
                assert token == token.lower()
                assert all(
                    sign.isalpha() or sign == "'" or unicodedata.category(sign).startswith("M") for sign in token
                )


@pytest.mark.parametrize("language", ["en", "de", "vi", "ja", "cmn", "en_ta", "hi", "xx", ""])
@pytest.mark.parametrize("word", HOSTILE, ids=lambda word: ascii(word[:12]))
def test_no_word_is_too_much(word: str, language: str) -> None:
    check(["x", word, "5"], language)


ALPHABET = st.sampled_from(
    "0123456789$£€%.,:;/-–—'’\"()#&@+=<>°×÷aAbBsStThHpPmMIVXkKg½²é\u0301न्דف年ทำ\u200d\u00a0\ud800 "
)


@settings(max_examples=examples(400), deadline=None)
@given(
    words=st.lists(st.one_of(st.text(ALPHABET, max_size=12), st.text(max_size=8)), max_size=6),
    language=st.sampled_from(["en", *PACKS]),
)
def test_whatever_is_written_gives_bounded_ways_of_letters_and_apostrophes(words: list[str], language: str) -> None:
    check(words, language)


@settings(max_examples=examples(200), deadline=None)
@given(words=st.lists(st.text(ALPHABET, max_size=10), max_size=4))
def test_the_same_words_are_said_the_same_way(words: list[str]) -> None:
    assert spoken(words, "en") == spoken(list(words), "en")


@pytest.mark.parametrize("language", sorted(PACKS))
def test_every_language_of_the_contract_reads_its_numbers_or_leaves_them_out(language: str) -> None:
    for ways in spoken(
        ["7", "21", "100", "1984", "3.14", "3,14", "1.000.000", "0", "08", "123456789012345678"], language
    ):
        assert all(len(way) < 40 for way in ways)
