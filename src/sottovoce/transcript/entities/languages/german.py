"""German: the tables of numbers, money, units, dates, times and addresses."""

from sottovoce.transcript.entities.languages.builders import currencies, listed, numbered, phrases, table, units, words
from sottovoce.transcript.entities.locale import ClockPattern, Locale, Numerals, Phrases, Words

_ONES = numbered(
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn neunzehn"
) | {"ein": 1, "eine": 1, "einen": 1, "einem": 1, "einer": 1, "zwo": 2}  # fmt: skip
_TENS = {
    name: 20 + 10 * nth
    for nth, name in enumerate(listed("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"))
}
_STEMS = numbered(
    "erst zweit dritt viert fünft sechst siebt acht neunt zehnt elft zwölft dreizehnt vierzehnt fünfzehnt sechzehnt siebzehnt "
    "achtzehnt neunzehnt", 1
) | {"siebent": 7}  # fmt: skip
_ENDINGS = ("e", "en", "er", "es", "em")
_SCALES = {
    "million": 10**6, "millionen": 10**6, "milliarde": 10**9, "milliarden": 10**9, "billion": 10**12, "billionen": 10**12,
    "billiarde": 10**15, "billiarden": 10**15,
}  # fmt: skip


def _small() -> Phrases[int]:
    found: dict[Words, int] = {(name,): value for name, value in {**_ONES, **_TENS, "dreissig": 30}.items()}
    for ten, value_of_ten in {**_TENS, "dreissig": 30}.items():
        found.update({(one, "und", ten): value_of_ten + value for one, value in _ONES.items() if 0 < value < 10})
    return Phrases(found)


def _ordinals() -> Phrases[int]:
    found: dict[Words, int] = {(stem + end,): value for stem, value in _STEMS.items() for end in _ENDINGS}
    for ten, value_of_ten in _TENS.items():
        for end in _ENDINGS:
            found[ten + "st" + end,] = value_of_ten
            found.update(
                {(one, "und", ten + "st" + end): value_of_ten + value for one, value in _ONES.items() if 0 < value < 10}
            )
    return Phrases(found)


def _denominators() -> dict[str, int]:
    found = {
        "halb": 2,
        "halbe": 2,
        "drittel": 3,
        "viertel": 4,
        "fünftel": 5,
        "sechstel": 6,
        "siebtel": 7,
        "siebentel": 7,
    }
    found |= {
        "achtel": 8,
        "neuntel": 9,
        "zehntel": 10,
        "elftel": 11,
        "zwölftel": 12,
        "hundertstel": 100,
        "tausendstel": 1000,
    }
    found |= {name + "tel": value for name, value in _ONES.items() if 12 < value < 20}
    return found | {name + "stel": value for name, value in _TENS.items()}


def tables() -> Locale:
    """The tables of German."""
    prefixes = {
        "kilo": "k", "mega": "M", "giga": "G", "tera": "T", "milli": "m", "mikro": "μ", "nano": "n", "zenti": "c", "dezi": "d",
        "hekto": "h",
    }  # fmt: skip
    return Locale(
        code="de",
        numerals=Numerals(
            small=_small(),
            hundred=words("hundert"),
            hundreds={"hundert": 100},
            hundreds_up_to=99,
            thousand=words("tausend"),
            bare_thousand=True,
            scales=_SCALES,
            joiners=words("und"),
            digits={name: str(value) for name, value in _ONES.items() if value < 10},
            ordinals=_ordinals(),
            ordinal_scales={
                stem + "st" + end: value
                for stem, value in {"hundert": 100, "tausend": 1000}.items()
                for end in _ENDINGS
            },
            denominators=_denominators(),
            attached=words("uhr"),
            compound=True,
        ),
        group=".",
        decimal=",",
        point=words("komma"),
        minus=words("minus"),
        plus=words("plus"),
        half=Phrases({("einhalb",): "5", ("und", "ein", "halb"): "5"}),
        percent=phrases("prozent, % = \u00a0%"),
        currencies=currencies(
            "euro, euros, € = €; dollar, dollars, us dollar, $ = $; pfund, britische pfund, £ = £; franken = CHF; yen, ¥ = ¥; "
            "rubel = ₽; won = ₩"
        ),
        minors={"cent": "\u00a0ct", "penny": "\u00a0p", "pence": "\u00a0p", "rappen": "\u00a0Rp."},
        money_joiners=words("und"),
        sign_first=False,
        units=units(
            """
            meter, metern = m; gramm = g; liter, litern = l; watt = W; wattstunde, wattstunden = Wh; volt = V;
            ampere = A; hertz = Hz;
            byte, bytes = B; bit, bits = b; kilo, kilos = kg; meile, meilen = mi; fuß = ft; zoll = in; unze, unzen = oz;
            hektar = ha;
            tonne, tonnen = t; grad = °; grad celsius = °C; grad fahrenheit = °F; dezibel = dB; quadratmeter, quadratmetern = m²;
            quadratkilometer = km²; kubikmeter = m³; stunde, stunden = h; kubikzentimeter = cm³;
            stundenkilometer = km/h
            """,
            prefixes,
            ("m", "g", "l", "W", "Wh", "V", "A", "Hz", "B", "b"),
        ),
        prefixes=prefixes,
        per=table("stunde = h; sekunde = s; minute = min; quadratmeter = m²; kubikmeter = m³"),
        per_words=words("pro"),
        squares={"quadrat": "²", "kubik": "³"},
        range_words=words("bis"),
        ordinal_suffix={"": "."},
        months={
            month.lower(): month
            for month in listed("Januar Februar März April Mai Juni Juli August September Oktober November Dezember")
        }
        | {"jänner": "Jänner"},
        ordinal_days=True,
        paired_years=True,
        clock=(
            ClockPattern(words=("H", "uhr", "M", "minuten"), form="{hh}:{mm} Uhr"),
            ClockPattern(words=("H", "uhr", "M"), form="{hh}:{mm} Uhr"),
            ClockPattern(words=("H", "uhr"), form="{h} Uhr"),
            ClockPattern(words=("H", "uhr", "und", "M", "minuten?"), form="{hh}:{mm} Uhr"),
            ClockPattern(words=("halb", "H"), minute=-30, form="{hh}:{mm} Uhr"),
            ClockPattern(words=("viertel", "nach", "H"), minute=15, form="{hh}:{mm} Uhr"),
            ClockPattern(words=("viertel", "vor", "H"), minute=-15, form="{hh}:{mm} Uhr"),
            ClockPattern(words=("dreiviertel", "H"), minute=-15, form="{hh}:{mm} Uhr"),
            ClockPattern(words=("M", "nach", "H"), minute=1, form="{hh}:{mm} Uhr"),
            ClockPattern(words=("M", "vor", "H"), minute=-1, form="{hh}:{mm} Uhr"),
        ),
        half_days=Phrases({("uhr",): "Uhr"}),
        zones=words("mez mesz utc gmt"),
        repeats={"doppel": 2},
        address=phrases(
            "punkt = .; at, ät, klammeraffe = @; slash, schrägstrich = /; doppelpunkt = :; unterstrich = _; "
            "bindestrich, minus = -; "
            "fragezeichen = ?; gleichheitszeichen = ="
        ),
        written_ordinal=r"\.",
        sign_names=table("% = Prozent; $ = Dollar; £ = Pfund; € = Euro"),
    )
