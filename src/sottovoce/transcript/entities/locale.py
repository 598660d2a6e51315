"""The tables that the rules of entities read: one `Locale` per language, with its `Numerals`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Words = tuple[str, ...]
T = TypeVar("T")


def words(text: str) -> frozenset[str]:
    """The words of *text*."""
    return frozenset(text.split())


class Phrases(dict[Words, T]):
    """A table whose keys are sequences of words; *lengths* are the numbers of words of the keys by first word, longest first."""

    def __init__(self, table: Mapping[Words, T] | None = None) -> None:
        super().__init__(table or {})
        lengths: dict[str, set[int]] = {}
        for key in self:
            lengths.setdefault(key[0], set()).add(len(key))
        self.lengths = {first: tuple(sorted(each, reverse=True)) for first, each in lengths.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerals:
    """The number words of a language, in lower case. Sequences of several words are tuples.

    *small*: 0 … 99. *hundred*: words that multiply by hundred a number up to *hundreds_up_to*; *hundreds*: words that mean
    hundreds on their own. *thousand* and *scales*: larger multipliers; *bare_thousand*: the word alone means 1000.
    *joiners*: words inside a number without a value (`and`). *one*: articles that mean 1 before a multiplier (`a hundred`).
    *digits*: words of single digits read one by one. *ordinals*: 1 … 99; *ordinal_scales*: `hundredth` → 100.
    *denominators*: `sixteenths` → 16. *compound*: words are written together, `fünfundzwanzig`.
    """

    small: Phrases[int]
    hundred: frozenset[str] = frozenset()
    hundreds: Mapping[str, int] = field(default_factory=dict)
    hundreds_up_to: int = 9
    thousand: frozenset[str] = frozenset()
    bare_thousand: bool = False
    scales: Mapping[str, int] = field(default_factory=dict)
    joiners: frozenset[str] = frozenset()
    one: frozenset[str] = frozenset()
    digits: Mapping[str, str] = field(default_factory=dict)
    ordinals: Phrases[int] = field(default_factory=Phrases)
    ordinal_scales: Mapping[str, int] = field(default_factory=dict)
    denominators: Mapping[str, int] = field(default_factory=dict)
    compound: bool = False
    attached: frozenset[str] = frozenset()  # other words that are written together with numbers, `zweiuhrdreißig`
    vocabulary: frozenset[str] = field(init=False, default=frozenset())  # all words, of which compounds consist

    def __post_init__(self) -> None:
        names = {name for form in (*self.small, *self.ordinals) for name in form}
        names |= self.hundred | self.hundreds.keys() | self.thousand | self.scales.keys() | self.joiners
        names |= self.ordinal_scales.keys() | self.denominators.keys()
        object.__setattr__(self, "vocabulary", frozenset(name for name in names if len(name) > 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """A currency: its *sign*, and the word for a hundredth part, which is written with *minor* if it stands alone."""

    sign: str
    minor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPattern:
    """A way to say a time: *words*, with `H` for the hour, `M` for the minute, and `?` after an optional word.

    *minute*: the minutes after the hour, or before it if negative, without `M`; with `M`, -1 counts the minutes before the
    hour. *form* is the written form with `{h}` and `{m}`, `{w}` for the first word, `{a}` for the Spanish article of the hour.
    *hour*: the hour of a pattern without `H`.
    """

    words: Words
    minute: int = 0
    form: str = ""
    hour: int = -1
    needs_half_day: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Locale:
    """The tables of one language. Unless noted, keys are spoken words in lower case.

    *stay_words*: whole numbers up to this stay words (contract §7.4 for English). *group*, *decimal*: signs in numbers.
    *sign_first*: a currency sign precedes its number without a blank. *ordinal_form*: a function of number and last word.
    *months*: name → (number, written). *half_days*: words after an hour → written form. *before_digits* …
    """

    code: str
    numerals: Numerals
    group: str
    decimal: str
    stay_words: int = 9
    rewrites_small: bool = False  # digits up to `stay_words` that an engine wrote become words
    point: frozenset[str] = frozenset()
    minus: frozenset[str] = frozenset()
    plus: frozenset[str] = frozenset()
    half: Phrases[str] = field(default_factory=Phrases)  # after a number: decimals, e.g. ("and", "a", "half") → "5"
    percent: Phrases[str] = field(default_factory=Phrases)
    currencies: Phrases[Currency] = field(default_factory=Phrases)
    minors: Mapping[str, str] = field(default_factory=dict)  # `cents` → the sign of the whole: "" fits every currency
    minors_of: Mapping[str, str] = field(default_factory=dict)  # `centimes` → `€`: 20 of them are written 0,20 €
    money_joiners: frozenset[str] = frozenset()  # between the amount and its hundredth parts
    money_of: frozenset[str] = frozenset()  # between a scale and the currency: millones *de* euros
    sign_first: bool = True
    signs_first: frozenset[str] = frozenset()  # currency signs that precede the number although others follow it
    keeps_money_of: bool = False  # `4 milliards d'euros` keeps the words of its currency
    paired_phones: bool = False  # telephone numbers are said in numbers of two digits
    units: Phrases[str] = field(default_factory=Phrases)
    prefixes: Mapping[str, str] = field(default_factory=dict)  # `kilo` → `k`, said as a word of its own
    per: Mapping[str, str] = field(default_factory=dict)  # the word after `per` → its symbol
    per_words: frozenset[str] = frozenset()
    squares: Mapping[str, str] = field(default_factory=dict)  # before or after a unit: `square` → `²`
    range_words: frozenset[str] = frozenset()
    ordinal_suffix: Mapping[str, str] = field(
        default_factory=dict
    )  # ending of the last word → suffix; "" is the default
    ordinal_style: str = "suffix"  # suffix | english
    months: Mapping[str, str] = field(default_factory=dict)
    day_joiners: frozenset[str] = frozenset()  # between day and month, kept as spoken
    number_joiners: frozenset[str] = frozenset()  # between a day and the number of its month: `dez do oito` → 10/08
    year_joiners: frozenset[str] = frozenset()  # between month and year, kept as spoken
    first_day: Mapping[str, str] = field(default_factory=dict)  # `primero` → `1`
    ordinal_days: bool = False  # days are spoken as ordinals
    decades: Mapping[str, int] = field(default_factory=dict)
    eras: Phrases[str] = field(default_factory=Phrases)
    paired_years: bool = False
    year_joiner_zero: frozenset[str] = frozenset()  # `oh` in `nineteen oh five`
    clock: tuple[ClockPattern, ...] = ()
    half_days: Phrases[str] = field(default_factory=Phrases)
    hour_names: Mapping[str, int] = field(default_factory=dict)  # `noon`
    zones: frozenset[str] = frozenset()
    time_cues: frozenset[str] = frozenset()
    after_time: frozenset[str] = frozenset()
    numbered: frozenset[str] = frozenset()  # words before a number that is said in parts: `flight two twenty one`
    streets: frozenset[str] = (
        frozenset()
    )  # words after a number of a house and a name: `twelve thirty four Main Street`
    repeats: Mapping[str, int] = field(default_factory=dict)  # `double` → 2
    address: Phrases[str] = field(default_factory=Phrases)  # `dot` → `.`
    letters: Phrases[str] = field(default_factory=Phrases)  # names of letters: `doble ve` → `w`
    written_ordinal: str = ""  # a pattern of the ending of ordinals in digits
    sign_names: Mapping[str, str] = field(default_factory=dict)  # `%` → `Prozent`, for spoken forms
