"""Spanish: the tables of numbers, money, units, dates, times and addresses."""

from sottovoce.transcript.entities.languages.builders import (
    currencies,
    listed,
    numbered,
    phrases,
    table,
    tens,
    units,
    words,
)
from sottovoce.transcript.entities.locale import ClockPattern, Locale, Numerals, Phrases, Words

_ONES = numbered(
    "cero un/uno/una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
    "dieciocho diecinueve veinte veintiún/veintiuno/veintiuna veintidós veintitrés veinticuatro veinticinco veintiséis "
    "veintisiete veintiocho veintinueve"
) | {"dieciseis": 16, "veintidos": 22, "veintitres": 23, "veintiseis": 26, "veintiun": 21}  # fmt: skip
_TENS = tens("treinta cuarenta cincuenta sesenta setenta ochenta noventa", 30)
_HUNDREDS = {"cien": 100, "ciento": 100} | {
    stem + end: value
    for stem, value in {
        "doscient": 200, "trescient": 300, "cuatrocient": 400, "quinient": 500, "seiscient": 600, "setecient": 700,
        "ochocient": 800, "novecient": 900,
    }.items()
    for end in ("os", "as")
}  # fmt: skip
_SCALES = {
    "millón": 10**6, "millones": 10**6, "millardo": 10**9, "millardos": 10**9, "billón": 10**12, "billones": 10**12,
    "trillón": 10**18, "trillones": 10**18, "cuatrillón": 10**24, "cuatrillones": 10**24,
}  # fmt: skip
_UNITS_ORDINAL = {
    "primer": 1,
    "segund": 2,
    "tercer": 3,
    "cuart": 4,
    "quint": 5,
    "sext": 6,
    "séptim": 7,
    "octav": 8,
    "noven": 9,
}
_TENS_ORDINAL = {
    "décim": 10, "vigésim": 20, "trigésim": 30, "cuadragésim": 40, "quincuagésim": 50, "sexagésim": 60, "septuagésim": 70,
    "octogésim": 80, "nonagésim": 90,
}  # fmt: skip
_ENDINGS = ("o", "a", "os", "as")


def _small() -> Phrases[int]:
    found: dict[Words, int] = {(name,): value for name, value in {**_ONES, **_TENS}.items()}
    for ten, value_of_ten in _TENS.items():
        found.update({(ten, "y", one): value_of_ten + value for one, value in _ONES.items() if 0 < value < 10})
    return Phrases(found)


def _ordinals() -> Phrases[int]:
    ones = {stem + end: value for stem, value in _UNITS_ORDINAL.items() for end in _ENDINGS} | {
        "primer": 1,
        "tercer": 3,
    }
    found: dict[Words, int] = {(name,): value for name, value in ones.items()}
    for stem, value in {"undécim": 11, "duodécim": 12}.items():
        found.update({(stem + end,): value for end in _ENDINGS})
    for stem, value_of_ten in _TENS_ORDINAL.items():
        for end in _ENDINGS:
            found[stem + end,] = value_of_ten
            found.update({(stem + end, one): value_of_ten + value for one, value in ones.items()})
        plain = stem.replace("é", "e")
        found.update({(plain + "o" + one,): value_of_ten + value for one, value in ones.items()})
    found.update({("decimo" + one,): 10 + value for one, value in ones.items()})
    return Phrases(found)


def _parts(name: str) -> list[str]:
    """`treinta` → treintavo, treintavos, treintaavo …: the parts of a whole that *name* counts."""
    stems = {name, name.rstrip("aeo")} if name[-1] in "aeo" else {name}
    return [stem + end for stem in stems for end in ("avo", "avos", "ava", "avas")]


def _denominators() -> dict[str, int]:
    stems = {"cuart": 4, "quint": 5, "sext": 6, "séptim": 7, "octav": 8, "noven": 9, "décim": 10, "onceav": 11, "doceav": 12,
             "treceav": 13, "quinceav": 15, "veinteav": 20, "vigésim": 20, "centésim": 100, "milésim": 1000}  # fmt: skip
    found = {stem + end: value for stem, value in stems.items() for end in _ENDINGS}
    for name, value in _ONES.items() | _TENS.items():
        if value > 10:
            found.update(dict.fromkeys(_parts(name), value))
    ones = [(name, value) for name, value in _ONES.items() if 0 < value < 10 and name not in {"uno", "una"}]
    for one, value_of_one in ones:
        for ten, value in _TENS.items():
            for head in (f"{ten}i", f"{ten[:-1]}i", f"{ten}y"):
                found.update(dict.fromkeys(_parts(head + one), value + value_of_one))
    for name, value in [*ones, *_TENS.items(), *(pair for pair in _ONES.items() if pair[1] > 9)]:
        found.update(dict.fromkeys(_parts("ciento" + name), 100 + value))
    return found | {"medio": 2, "media": 2, "medios": 2, "tercio": 3, "tercios": 3}


def tables() -> Locale:
    """The tables of Spanish."""
    prefixes = {"kiló": "k", "kilo": "k", "mega": "M", "giga": "G", "mili": "m", "milí": "m", "micro": "μ", "nano": "n",
                "centí": "c", "centi": "c"}  # fmt: skip
    return Locale(
        code="es",
        numerals=Numerals(
            small=_small(),
            hundreds=_HUNDREDS,
            thousand=words("mil"),
            bare_thousand=True,
            scales=_SCALES,
            joiners=words("y"),
            digits={name: str(value) for name, value in _ONES.items() if value < 10},
            ordinals=_ordinals(),
            ordinal_scales={
                stem + end: value for stem, value in {"centésim": 100, "milésim": 1000}.items() for end in _ENDINGS
            },
            denominators=_denominators(),
        ),
        group=".",
        decimal=",",
        point=words("coma punto"),
        half=Phrases({("y", "medio"): "5", ("y", "media"): "5"}),
        minus=words("menos"),
        plus=words("más"),
        percent=phrases("por ciento, porciento, % = \u00a0%"),
        currencies=currencies(
            "euro, euros, € = €; dólar, dólares, dólares estadounidenses, $ = $; libra, libras, libras esterlinas, £ = £; "
            "peso, pesos = $; peso mexicano, pesos mexicanos = Mex$; quetzal, quetzales = Q; "
            "colón, colones = ₡; lempira, lempiras = L; yen, yenes = ¥; peseta, pesetas = ₧; "
            "franco suizo, francos suizos = CHF; wons, won = ₩"
        ),
        minors_of={"céntimo": "€", "céntimos": "€"},
        minors={
            "centavo": "\u00a0¢",
            "centavos": "\u00a0¢",
            "céntimo": "\u00a0c",
            "céntimos": "\u00a0c",
            "peniques": "\u00a0p",
        },
        money_joiners=words("con y"),
        money_of=words("de"),
        sign_first=False,
        signs_first=frozenset({"$", "Mex$", "Q", "₡", "L", "¥", "₩"}),
        units=units(
            """
            metro, metros = m; gramo, gramos = g; litro, litros = l; vatio, vatios = W; voltio, voltios = V; amperios = A;
            hercio, hercios = Hz; byte, bytes = B; bit, bits = b; kilo, kilos = kg; milla, millas = mi; pie, pies = ft;
            pulgada, pulgadas = in; hectárea, hectáreas = ha; tonelada, toneladas = t; grado, grados = °;
            grados celsius, grado celsius, grados centígrados, grado centígrado = °C; grados fahrenheit = °F;
            decibelios = dB; kilogramo, kilogramos = kg; kilovatios hora = kWh
            """,
            prefixes,
            ("m", "g", "l", "W", "V", "A", "Hz", "B", "b"),
        ),
        prefixes=prefixes,
        per=table("hora = h; segundo = s; minuto = min"),
        per_words=words("por"),
        squares={"cuadrado": "²", "cuadrados": "²", "cúbico": "³", "cúbicos": "³"},
        paired_phones=True,
        range_words=words("a"),
        ordinal_suffix={"er": ".er", "os": ".º", "as": ".ª", "a": ".ª", "": ".º"},
        months={
            name: name
            for name in listed(
                "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre setiembre"
            )
        },
        day_joiners=words("de"),
        year_joiners=words("de del"),
        first_day={"primero": "1"},
        clock=(
            ClockPattern(words=("las|la", "H", "y", "media"), minute=30, form="{a} {h}:{mm}"),
            ClockPattern(words=("las|la", "H", "y", "cuarto"), minute=15, form="{a} {h}:{mm}"),
            ClockPattern(words=("las|la", "H", "menos", "cuarto"), minute=-15, form="{a} {h}:{mm}"),
            ClockPattern(words=("las|la", "H", "y|con", "M"), minute=0, form="{a} {h}:{mm}"),
            ClockPattern(words=("las|la", "H", "M"), minute=0, form="{a} {h}:{mm}"),
            ClockPattern(words=("las|la", "H", "menos", "M"), minute=-1, form="{a} {h}:{mm}"),
            ClockPattern(words=("las|la", "H"), form="{a} {h}:{mm}", needs_half_day=True),
            ClockPattern(words=("H", "y", "media"), minute=30, form="{h}:{mm}", needs_half_day=True),
            ClockPattern(words=("H", "y", "cuarto"), minute=15, form="{h}:{mm}", needs_half_day=True),
            ClockPattern(words=("un?", "cuarto", "para", "las|la", "H"), minute=-15, form="{a} {h}:{mm}"),
            ClockPattern(words=("M", "minutos?", "para", "las|la", "H"), minute=-1, form="{a} {h}:{mm}"),
        ),
        half_days=phrases(
            "a m, am, a eme = a.m.; p m, pm, pe eme = p.m.; de la mañana = de la mañana; de la tarde = de la tarde; "
            "de la noche = de la noche"
        ),
        repeats={"doble": 2, "triple": 3},
        address=phrases(
            "punto = .; arroba = @; barra = /; dos puntos = :; guion bajo, guión bajo = _; guion, guión = -; "
            "signo de interrogación = ?; signo igual, igual = ="
        ),
        letters=phrases(
            "doble ve, uve doble, doble u = w; hache = h; te = t; pe = p; ese = s; eme = m; ene = n; efe = f; ele = l; "
            "jota = j; ka = k; cu = q; erre = r; uve = v; equis = x; zeta = z; ce = c; be = b; ge = g"
        ),
        written_ordinal=r"\.?[ºª°]",
        sign_names=table("% = por ciento; $ = dólares; £ = libras; € = euros"),
    )
