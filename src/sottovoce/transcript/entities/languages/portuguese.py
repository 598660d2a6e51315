"""Portuguese: the tables of numbers, money, units, dates, times and addresses."""

from sottovoce.transcript.entities.languages.builders import currencies, listed, numbered, phrases, table, units, words
from sottovoce.transcript.entities.locale import ClockPattern, Locale, Numerals, Phrases, Words

_ONES = numbered(
    "zero um/uma dois/duas três quatro cinco seis sete oito nove dez onze doze treze catorze/quatorze quinze "
    "dezesseis/dezasseis dezessete/dezassete dezoito dezenove/dezanove"
)
_TENS = {
    name: 20 + 10 * nth
    for nth, name in enumerate(listed("vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"))
}
_HUNDREDS = {"cem": 100, "cento": 100} | {
    stem + end: value
    for stem, value in {
        "duzent": 200, "trezent": 300, "quatrocent": 400, "quinhent": 500, "seiscent": 600, "setecent": 700, "oitocent": 800,
        "novecent": 900,
    }.items()
    for end in ("os", "as")
}  # fmt: skip
_SCALES = {
    "milhão": 10**6, "milhões": 10**6, "bilhão": 10**9, "bilhões": 10**9, "trilhão": 10**12, "trilhões": 10**12,
    "quatrilhão": 10**15, "quatrilhões": 10**15, "quintilhão": 10**18, "quintilhões": 10**18,
    "sextilhão": 10**21, "sextilhões": 10**21, "bilião": 10**12, "biliões": 10**12,
}  # fmt: skip
_UNITS_ORDINAL = {
    "primeir": 1,
    "segund": 2,
    "terceir": 3,
    "quart": 4,
    "quint": 5,
    "sext": 6,
    "sétim": 7,
    "oitav": 8,
    "non": 9,
}
_TENS_ORDINAL = {
    "décim": 10, "vigésim": 20, "trigésim": 30, "quadragésim": 40, "quinquagésim": 50, "sexagésim": 60, "septuagésim": 70,
    "octogésim": 80, "nonagésim": 90,
}  # fmt: skip
_ENDINGS = ("o", "a", "os", "as")


def _small() -> Phrases[int]:
    found: dict[Words, int] = {(name,): value for name, value in {**_ONES, **_TENS}.items()}
    for ten, value_of_ten in _TENS.items():
        for one, value in _ONES.items():
            if 0 < value < 10:
                found[ten, "e", one] = value_of_ten + value
                found[ten, one] = value_of_ten + value
    return Phrases(found)


def _ordinals() -> Phrases[int]:
    ones = {stem + end: value for stem, value in _UNITS_ORDINAL.items() for end in _ENDINGS}
    found: dict[Words, int] = {(name,): value for name, value in ones.items()}
    for stem, value_of_ten in _TENS_ORDINAL.items():
        for end in _ENDINGS:
            found[stem + end,] = value_of_ten
            found.update({(stem + end, one): value_of_ten + value for one, value in ones.items()})
    return Phrases(found)


def _denominators() -> dict[str, int]:
    stems = {
        "quart": 4,
        "quint": 5,
        "sext": 6,
        "sétim": 7,
        "oitav": 8,
        "non": 9,
        "décim": 10,
        "centésim": 100,
        "milésim": 1000,
    }
    found = {stem + end: value for stem, value in stems.items() for end in _ENDINGS}
    return found | {"meio": 2, "meios": 2, "terço": 3, "terços": 3}


def tables() -> Locale:
    """The tables of Portuguese."""
    prefixes = {"quiló": "k", "quilô": "k", "quilo": "k", "mega": "M", "giga": "G", "mili": "m", "milí": "m",
                "micro": "μ", "nano": "n",
                "centí": "c", "centi": "c"}  # fmt: skip
    return Locale(
        code="pt",
        numerals=Numerals(
            small=_small(),
            hundreds=_HUNDREDS,
            thousand=words("mil"),
            bare_thousand=True,
            scales=_SCALES,
            joiners=words("e"),
            digits={**{name: str(value) for name, value in _ONES.items() if value < 10}, "meia": "6"},
            ordinals=_ordinals(),
            ordinal_scales={
                stem + end: value for stem, value in {"centésim": 100, "milésim": 1000}.items() for end in _ENDINGS
            },
            denominators=_denominators(),
        ),
        group=".",
        decimal=",",
        point=words("vírgula ponto"),
        minus=words("menos"),
        plus=words("mais"),
        percent=phrases("por cento, % = \u00a0%"),
        currencies=currencies(
            "real, reais = R$\u00a0; euro, euros, € = €\u00a0; dólar, dólares, $ = $\u00a0; dólares americanos = US$\u00a0; "
            "libra, libras, libras esterlinas, £ = £\u00a0; iene, ienes = ¥\u00a0"
        ),
        minors_of={"centavo": "R$\u00a0", "centavos": "R$\u00a0", "cêntimo": "€\u00a0", "cêntimos": "€\u00a0"},
        half=Phrases({("e", "meio"): "5"}),
        minors={"centavo": "\u00a0¢", "centavos": "\u00a0¢", "cêntimo": "\u00a0c", "cêntimos": "\u00a0c"},
        money_joiners=words("e"),
        money_of=words("de"),
        sign_first=True,
        units=units(
            """
            metro, metros = m; grama, gramas = g; litro, litros = l; watt, watts = W; volt, volts = V; hertz = Hz;
            byte, bytes = B;
            bit, bits = b; quilo, quilos = kg; milha, milhas = mi; pé, pés = ft; polegada, polegadas = in; hectare, hectares = ha;
            tonelada, toneladas = t; grau, graus = °; graus celsius, grau celsius = °C; graus fahrenheit = °F; decibéis = dB;
            quilograma, quilogramas = kg
            """,
            prefixes,
            ("m", "g", "l", "W", "V", "Hz", "B", "b"),
        ),
        prefixes=prefixes,
        per=table("hora = h; segundo = s; minuto = min"),
        per_words=words("por"),
        squares={"quadrado": "²", "quadrados": "²", "cúbico": "³", "cúbicos": "³"},
        paired_phones=True,
        range_words=words("a"),
        ordinal_suffix={"os": "º", "as": "ª", "a": "ª", "": "º"},
        months={
            name: name
            for name in listed(
                "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
            )
        },
        day_joiners=words("de"),
        year_joiners=words("de"),
        number_joiners=words("do"),
        first_day={"primeiro": "1º"},
        clock=(
            ClockPattern(words=("às|as|à", "H", "e", "meia"), minute=30, form="{w} {h}:{mm}"),
            ClockPattern(words=("às|as|à", "H", "e", "M"), form="{w} {h}:{mm}"),
            ClockPattern(words=("às|as", "H", "hora|horas", "e", "M", "minutos?"), form="{w} {h}:{mm}"),
            ClockPattern(words=("às|as", "H", "hora|horas"), form="{w} {h}:00"),
            ClockPattern(words=("às|as", "M", "pra|pras|para", "as?", "H"), minute=-1, form="{w} {h}:{mm}"),
            ClockPattern(
                words=("às|as", "M", "pra|pro|para", "o?", "meio", "dia"), minute=-1, hour=12, form="{w} {h}:{mm}"
            ),
            ClockPattern(
                words=("às|as", "M", "pra|para", "a?", "meia", "noite"), minute=-1, hour=24, form="{w} {h}:{mm}"
            ),
            ClockPattern(words=("meio", "dia", "e", "meia|meio", "hora?"), form="12:30"),
            ClockPattern(words=("meia", "noite", "e", "M"), form="0:{mm}"),
            ClockPattern(words=("meia", "noite", "e", "meia"), form="0:30"),
        ),
        half_days=phrases("da manhã = da manhã; da tarde = da tarde; da noite = da noite"),
        repeats={"duplo": 2},
        address=phrases(
            "ponto = .; arroba = @; barra = /; dois pontos = :; underline, sublinhado = _; hífen, traço = -; "
            "ponto de interrogação = ?; igual = ="
        ),
        letters=phrases(
            "dáblio, dábliu = w; agá = h; tê = t; pê = p; ésse = s; bê = b; cê = c; dê = d; efe = f; gê = g; jota = j; "
            "cá = k; ele = l; eme = m; ene = n; quê = q; erre = r; vê = v; xis = x; zê = z"
        ),
        written_ordinal="[ºª°]",
        sign_names=table("% = por cento; $ = dólares; £ = libras; € = euros"),
    )
