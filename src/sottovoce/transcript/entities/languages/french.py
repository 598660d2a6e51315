"""French: the tables of numbers, money, units, dates, times and addresses."""

from sottovoce.transcript.entities.languages.builders import currencies, listed, numbered, phrases, table, units, words
from sottovoce.transcript.entities.locale import ClockPattern, Locale, Numerals, Phrases, Words

_ONES = numbered("zéro un/une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize")
_TENS = {"vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60, "septante": 70, "huitante": 80,
         "octante": 80, "nonante": 90}  # fmt: skip
_STEMS = numbered(
    "prem deux trois quatr cinqu six sept huit neuv dix onz douz treiz quatorz quinz seiz", 1
) | {"vingt": 20, "trent": 30, "quarant": 40, "cinquant": 50, "soixant": 60, "septant": 70, "nonant": 90}  # fmt: skip
_SCALES = {
    "million": 10**6, "millions": 10**6, "milliard": 10**9, "milliards": 10**9, "billion": 10**12, "billions": 10**12,
    "billiard": 10**15, "billiards": 10**15,
}  # fmt: skip
_NBSP = "\u00a0"
_FORM = "{h}\u00a0h\u00a0{mm}"


def _tens() -> dict[Words, int]:
    """Forms of 20 … 99, and 17 … 19."""
    found: dict[Words, int] = {("dix", name): 10 + value for name, value in _ONES.items() if 7 <= value <= 9}
    teens = {(name,): value for name, value in _ONES.items() if 10 <= value <= 16} | dict(found)
    for ten, value_of_ten in _TENS.items():
        found[ten,] = value_of_ten
        for one, value in _ONES.items():
            if 0 < value < 10:
                found[ten, one] = value_of_ten + value
            if value == 1:
                found[ten, "et", one] = value_of_ten + value
    for teen, value in teens.items():
        found["soixante", *teen] = 60 + value
        found["soixante", "et", *teen] = 60 + value
    for eighty in ("quatre", "vingt"), ("quatre", "vingts"):
        found[eighty] = 80
        found.update({(*eighty, one): 80 + value for one, value in _ONES.items() if 0 < value < 10})
        found.update({(*eighty, *teen): 80 + value for teen, value in teens.items()})
    return found


def _small() -> Phrases[int]:
    return Phrases({**{(name,): value for name, value in _ONES.items()}, **_tens()})


def _ordinals() -> Phrases[int]:
    simple = {stem + "ième": value for stem, value in _STEMS.items() if stem != "prem"} | {"unième": 1}
    named = simple | {"premier": 1, "première": 1, "second": 2, "seconde": 2}
    found: dict[Words, int] = {(name,): value for name, value in named.items()}
    found |= {("dix", name): 10 + value for name, value in simple.items() if 7 <= value <= 9}
    teens = {form: value for form, value in found.items() if 10 <= value <= 19}
    for ten, value_of_ten in _TENS.items():
        found.update({(ten, name): value_of_ten + value for name, value in simple.items() if value < 10})
        found[ten, "et", "unième"] = value_of_ten + 1
    found.update({("soixante", *form): 60 + value for form, value in teens.items()})
    found["soixante", "et", "onzième"] = 71
    found.update({("quatre", "vingt", name): 80 + value for name, value in simple.items() if value < 10})
    found["quatre", "vingtième"] = 80
    found.update({("quatre", "vingt", *form): 80 + value for form, value in teens.items()})
    return Phrases(found | {(*form[:-1], form[-1] + "s"): value for form, value in found.items()})


def _denominators() -> dict[str, int]:
    found = {stem + "ième": value for stem, value in _STEMS.items() if 4 < value <= 16 or value in {20, 30, 40, 50, 60}}
    found |= {name + "s": value for name, value in found.items()}
    found |= {"demi": 2, "demie": 2, "demis": 2, "tiers": 3, "quart": 4, "quarts": 4, "centième": 100, "centièmes": 100}
    return found | {"millième": 1000, "millièmes": 1000}


def tables() -> Locale:
    """The tables of French."""
    prefixes = {"kilo": "k", "méga": "M", "giga": "G", "téra": "T", "milli": "m", "micro": "μ", "nano": "n", "centi": "c",
                "déci": "d", "hecto": "h"}  # fmt: skip
    return Locale(
        code="fr",
        numerals=Numerals(
            small=_small(),
            hundred=words("cent cents"),
            hundreds={"cent": 100, "cents": 100},
            hundreds_up_to=19,
            thousand=words("mille mil milles"),
            bare_thousand=True,
            scales=_SCALES,
            joiners=words("et"),
            digits={name: str(value) for name, value in _ONES.items() if value < 10},
            ordinals=_ordinals(),
            ordinal_scales={"centième": 100, "centièmes": 100, "millième": 1000, "millièmes": 1000},
            denominators=_denominators(),
        ),
        group=_NBSP,
        decimal=",",
        point=words("virgule"),
        minus=words("moins"),
        plus=words("plus"),
        half=Phrases({("et", "demi"): "5", ("et", "demie"): "5"}),
        percent=phrases(f"pour cent, pourcent, % = {_NBSP}%"),
        currencies=currencies(
            "euro, euros, d' euros, € = €; dollar, dollars, de dollars, $ = $; livre, livres, livres sterling, £ = £; "
            "yen, yens = ¥; franc suisse, francs suisses = CHF; won, wons = ₩"
        ),
        minors_of={"centime": "€", "centimes": "€"},
        minors={
            "centime": _NBSP + "ct",
            "centimes": _NBSP + "ct",
            "cent": _NBSP + "ct",
            "pence": _NBSP + "p",
            "cents": _NBSP + "ct",
        },
        money_joiners=words("et"),
        money_of=words("d' de"),
        sign_first=False,
        keeps_money_of=True,
        paired_phones=True,
        units=units(
            """
            mètre, mètres = m; gramme, grammes = g; litre, litres = l; watt, watts = W; watt heure, watts heures, wattheures = Wh;
            volt, volts = V; ampère, ampères = A; hertz = Hz; octet, octets = o; bit, bits = b; kilo, kilos = kg; mille marin = M;
            pied, pieds = ft; pouce, pouces = in; hectare, hectares = ha; tonne, tonnes = t; degré, degrés = °;
            degré celsius, degrés celsius = °C; degrés fahrenheit = °F; décibels = dB; kilomètres heure, kilomètre heure = km/h
            """,
            prefixes,
            ("m", "g", "l", "W", "Wh", "V", "A", "Hz", "o", "b"),
        ),
        prefixes=prefixes,
        per=table("heure = h; seconde = s; minute = min"),
        per_words=words("par"),
        squares={"carré": "²", "carrés": "²", "cube": "³", "cubes": "³"},
        range_words=words("à"),
        ordinal_suffix={"ières": "res", "ière": "re", "iers": "ers", "ier": "er", "ièmes": "es", "": "e"},
        months={
            name: name
            for name in listed("janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
        },
        first_day={"premier": "1er"},
        clock=(
            ClockPattern(words=("H", "heure|heures", "M"), form=_FORM),
            ClockPattern(words=("H", "heure|heures"), form="{h}\u00a0h"),
            ClockPattern(words=("H", "heure|heures", "et", "demie|demi"), minute=30, form=_FORM),
            ClockPattern(words=("H", "heure|heures", "et", "quart"), minute=15, form=_FORM),
            ClockPattern(words=("H", "heure|heures", "et", "trois", "quarts"), minute=45, form=_FORM),
            ClockPattern(words=("H", "heure|heures", "moins", "le?", "quart"), minute=-15, form=_FORM),
            ClockPattern(words=("H", "heure|heures", "moins", "M"), minute=-1, form=_FORM),
            ClockPattern(words=("N", "et", "demie|demi"), minute=30, form=_FORM),
            ClockPattern(words=("N", "et", "quart"), minute=15, form=_FORM),
            ClockPattern(words=("N", "moins", "le?", "quart"), minute=-15, form=_FORM),
            ClockPattern(words=("N", "moins", "M"), minute=-1, form=_FORM),
            ClockPattern(words=("N", "M"), form=_FORM),
        ),
        half_days=Phrases({("du", "matin"): "du matin", ("du", "soir"): "du soir"}),
        hour_names={"midi": 12, "minuit": 24},
        repeats={"double": 2},
        address=phrases(
            "point = .; at, arobase, arobas = @; slash, barre oblique = /; deux points = :; tiret bas, underscore = _; "
            "tiret, trait d'union = -; point d'interrogation = ?; égal = ="
        ),
        written_ordinal="(?:er|re|e|ère|ème|ième|ᵉ)s?",
        sign_names=table("% = pour cent; $ = dollars; £ = livres; € = euros"),
    )
