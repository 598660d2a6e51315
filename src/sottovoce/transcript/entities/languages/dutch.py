"""Dutch: the tables of numbers, money, units, dates, times and addresses."""

from sottovoce.transcript.entities.languages.builders import currencies, listed, numbered, phrases, table, units, words
from sottovoce.transcript.entities.locale import ClockPattern, Locale, Numerals, Phrases, Words

_ONES = numbered(
    "nul een/één/eén twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien "
    "zestien zeventien achttien "
    "negentien"
)
_TENS = {
    name: 20 + 10 * nth
    for nth, name in enumerate(listed("twintig dertig veertig vijftig zestig zeventig tachtig negentig"))
}
_ORDINALS = numbered(
    "eerste tweede derde vierde vijfde zesde zevende achtste negende tiende elfde twaalfde dertiende "
    "veertiende vijftiende zestiende "
    "zeventiende achttiende negentiende",
    1,
)
_SCALES = {"miljoen": 10**6, "miljard": 10**9, "biljoen": 10**12}


def _small() -> Phrases[int]:
    found: dict[Words, int] = {(name,): value for name, value in {**_ONES, **_TENS}.items()}
    for ten, value_of_ten in _TENS.items():
        for joiner in ("en", "ën"):
            found.update({(one, joiner, ten): value_of_ten + value for one, value in _ONES.items() if 0 < value < 10})
    return Phrases(found)


def _ordinals() -> Phrases[int]:
    found: dict[Words, int] = {(name,): value for name, value in _ORDINALS.items()}
    for ten, value_of_ten in _TENS.items():
        found[ten + "ste",] = value_of_ten
        for joiner in ("en", "ën"):
            found.update(
                {(one, joiner, ten + "ste"): value_of_ten + value for one, value in _ONES.items() if 0 < value < 10}
            )
    return Phrases(found)


def tables() -> Locale:
    """The tables of Dutch."""
    prefixes = {
        "kilo": "k",
        "mega": "M",
        "giga": "G",
        "tera": "T",
        "milli": "m",
        "micro": "μ",
        "nano": "n",
        "centi": "c",
        "deci": "d",
    }
    denominators = {name: value for name, value in _ORDINALS.items() if value > 2}
    denominators |= {name + "n": value for name, value in denominators.items()}
    return Locale(
        code="nl",
        numerals=Numerals(
            small=_small(),
            hundred=words("honderd"),
            hundreds={"honderd": 100},
            hundreds_up_to=99,
            thousand=words("duizend"),
            bare_thousand=True,
            scales=_SCALES,
            joiners=words("en ën"),
            digits={name: str(value) for name, value in _ONES.items() if value < 10},
            ordinals=_ordinals(),
            ordinal_scales={"honderdste": 100, "duizendste": 1000, "miljoenste": 10**6},
            denominators=denominators | {"half": 2, "kwart": 4, "kwarten": 4},
            compound=True,
        ),
        group=".",
        decimal=",",
        point=words("komma"),
        minus=words("min"),
        plus=words("plus"),
        half=Phrases({("en", "een", "half"): "5", ("en", "een", "halve"): "5"}),
        percent=phrases("procent, % = %"),
        currencies=currencies(
            "euro, euro's, € = €\u00a0; dollar, dollars, $ = $\u00a0; pond, £ = £\u00a0; yen = ¥\u00a0; zwitserse "
            "frank = CHF\u00a0"
        ),
        minors={"cent": "\u00a0ct"},
        money_joiners=words("en"),
        units=units(
            """
            meter, meters = m; gram = g; liter, liters = l; watt = W; wattuur = Wh; volt = V; ampère = A; hertz = Hz;
            byte, bytes = B;
            bit, bits = b; kilo = kg; mijl = mi; inch = in; hectare, hectaren = ha; ton = t; graden, graad = °;
            graden celsius = °C; graden fahrenheit = °F; decibel = dB; vierkante meter = m²; vierkante kilometer = km²;
            kubieke meter = m³
            """,
            prefixes,
            ("m", "g", "l", "W", "Wh", "V", "A", "Hz", "B", "b"),
        ),
        prefixes=prefixes,
        per=table("uur = h; seconde = s; minuut = min"),
        per_words=words("per"),
        paired_phones=True,
        range_words=words("tot"),
        ordinal_suffix={"": "e"},
        months={
            name: name
            for name in listed(
                "januari februari maart april mei juni juli augustus september oktober november december"
            )
        },
        paired_years=True,
        clock=(
            ClockPattern(words=("H", "uur", "M"), form="{h}:{mm} uur"),
            ClockPattern(words=("H", "uur"), form="{h} uur"),
            ClockPattern(words=("half", "H"), minute=-30, form="{h}:{mm}"),
            ClockPattern(words=("kwart", "over", "H"), minute=15, form="{h}:{mm}"),
            ClockPattern(words=("kwart", "voor", "H"), minute=-15, form="{h}:{mm}"),
            ClockPattern(words=("M", "over", "H"), minute=1, form="{h}:{mm}"),
            ClockPattern(words=("M", "voor", "H"), minute=-1, form="{h}:{mm}"),
        ),
        repeats={"dubbel": 2},
        address=phrases(
            "punt = .; apenstaartje, at = @; slash, schuine streep = /; dubbele punt = :; liggend streepje, underscore = _; "
            "streepje, koppelteken = -; vraagteken = ?"
        ),
        written_ordinal="(?:e|ste|de)",
        sign_names=table("% = procent; $ = dollar; £ = pond; € = euro"),
    )
