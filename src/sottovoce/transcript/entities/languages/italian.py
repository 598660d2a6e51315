"""Italian: the tables of numbers, money, units, dates, times and addresses."""

from sottovoce.transcript.entities.languages.builders import currencies, listed, numbered, phrases, table, units, words
from sottovoce.transcript.entities.locale import ClockPattern, Locale, Numerals, Phrases, Words

_ONES = numbered(
    "zero un/uno/una due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
    "diciassette diciotto diciannove"
) | {"tré": 3}
_TENS = {
    name: 20 + 10 * nth
    for nth, name in enumerate(listed("venti trenta quaranta cinquanta sessanta settanta ottanta novanta"))
}
_ORDINALS = numbered("primo secondo terzo quarto quinto sesto settimo ottavo nono decimo", 1)
_SCALES = {
    "milione": 10**6,
    "milioni": 10**6,
    "miliardo": 10**9,
    "miliardi": 10**9,
    "bilione": 10**12,
    "bilioni": 10**12,
}


def _tens() -> dict[str, int]:
    found = dict(_TENS)
    for ten, value_of_ten in _TENS.items():
        for one, value in _ONES.items():
            if 0 < value < 10:
                stem = ten[:-1] if value in {1, 8} else ten
                found[stem + ("tré" if one == "tre" else one)] = value_of_ten + value
                if one == "tre":
                    found[ten + "tre"] = value_of_ten + value
    return found


def _ordinals() -> Phrases[int]:
    masculine = dict(_ORDINALS)
    for name, value in {**_ONES, **_tens()}.items():
        if value > 10 and not name.endswith(("un", "una")):
            stem = name if name.endswith(("tré", "sei")) else name[:-1]
            masculine[stem.replace("tré", "tre") + "esimo"] = value
    found: dict[Words, int] = {}
    for name, value in masculine.items():
        found.update({(name[:-1] + end,): value for end in "oaie"})
    return Phrases(found)


def tables() -> Locale:
    """The tables of Italian."""
    prefixes = {
        "chilo": "k",
        "mega": "M",
        "giga": "G",
        "milli": "m",
        "micro": "μ",
        "nano": "n",
        "centi": "c",
        "deci": "d",
    }
    ordinals = _ordinals()
    return Locale(
        code="it",
        numerals=Numerals(
            small=Phrases({(name,): value for name, value in {**_ONES, **_tens()}.items()}),
            hundred=words("cento cent"),
            hundreds={"cento": 100, "cent": 100},
            thousand=words("mila mille"),
            bare_thousand=True,
            scales=_SCALES,
            joiners=words("e"),
            digits={name: str(value) for name, value in _ONES.items() if value < 10},
            ordinals=ordinals,
            ordinal_scales={"cent" + "esim" + end: 100 for end in "oaie"} | {"millesim" + end: 1000 for end in "oaie"},
            denominators={name: value for (name,), value in ordinals.items() if value > 2}
            | {"mezzo": 2, "mezza": 2, "mezzi": 2},
            compound=True,
        ),
        group=".",
        decimal=",",
        point=words("virgola"),
        minus=words("meno"),
        plus=words("più"),
        half=Phrases({("e", "mezzo"): "5", ("e", "mezza"): "5"}),
        percent=phrases("per cento, percento, % = \u00a0%"),
        currencies=currencies(
            "euro, € = €; dollaro, dollari, $ = $; sterlina, sterline, £ = £; yen = ¥; franchi svizzeri = CHF"
        ),
        minors_of={"centesimo": "€", "centesimi": "€"},
        minors={"centesimo": "\u00a0c", "centesimi": "\u00a0c"},
        money_joiners=words("e"),
        money_of=words("di"),
        sign_first=False,
        units=units(
            """
            metro, metri = m; grammo, grammi = g; litro, litri = l; watt = W; volt = V; hertz = Hz; byte = B; bit = b;
            chilo, chili = kg;
            miglio, miglia = mi; piedi = ft; pollici, pollice = in; ettaro, ettari = ha; tonnellata, tonnellate = t;
            grado, gradi = °; gradi celsius, gradi centigradi, grado celsius = °C; gradi fahrenheit = °F; decibel = dB;
            chilometro, chilometri = km; chilometri orari = km/h; chilowattora = kWh; centimetro, centimetri = cm
            """,
            prefixes,
            ("m", "g", "l", "W", "V", "Hz", "B", "b"),
        ),
        prefixes=prefixes,
        per=table("ora = h; all'ora = h; secondo = s; minuto = min"),
        per_words=words("per al all'"),
        squares={"quadrato": "²", "quadrati": "²", "quadri": "²", "quadro": "²", "cubo": "³", "cubi": "³"},
        paired_phones=True,
        range_words=words("a"),
        ordinal_suffix={"a": "ª", "e": "ª", "": "º"},
        months={
            name: name
            for name in listed(
                "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"
            )
        },
        first_day={"primo": "1º"},
        clock=(
            ClockPattern(words=("le|alle|dalle", "H", "e", "mezza|mezzo"), minute=30, form="{w} {h}:{mm}"),
            ClockPattern(words=("le|alle|dalle", "H", "e", "un", "quarto"), minute=15, form="{w} {h}:{mm}"),
            ClockPattern(words=("le|alle|dalle", "H", "meno", "un", "quarto"), minute=-15, form="{w} {h}:{mm}"),
            ClockPattern(words=("le|alle|dalle", "H", "e", "M"), form="{w} {h}:{mm}"),
            ClockPattern(words=("le|alle|dalle", "H", "meno", "M"), minute=-1, form="{w} {h}:{mm}"),
        ),
        half_days=phrases(
            "di mattina = di mattina; del mattino = del mattino; di sera = di sera; del pomeriggio = del pomeriggio"
        ),
        repeats={"doppio": 2, "triplo": 3},
        address=phrases(
            "punto = .; chiocciola, at = @; barra, slash = /; due punti = :; trattino basso, underscore = _; trattino = -; "
            "punto interrogativo = ?; uguale = ="
        ),
        letters=phrases("vu vu vu = www; doppia vu = w"),
        written_ordinal="[ºª°]",
        sign_names=table("% = per cento; $ = dollari; £ = sterline; € = euro"),
    )
