"""English: the tables of numbers, money, units, dates, times and addresses."""

from sottovoce.transcript.entities.languages.builders import (
    currencies,
    listed,
    numbered,
    phrases,
    single,
    table,
    tens,
    units,
    words,
)
from sottovoce.transcript.entities.locale import ClockPattern, Locale, Numerals, Phrases, Words

_ONES = numbered(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = tens("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = numbered(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth",
    1,
)
_TENTHS = {name[:-1] + "ieth": value for name, value in _TENS.items()}
_SCALES = {
    "lakh": 10**5, "million": 10**6, "crore": 10**7, "billion": 10**9, "trillion": 10**12, "quadrillion": 10**15,
    "quintillion": 10**18,
}  # fmt: skip


def _small() -> Phrases[int]:
    found: dict[Words, int] = {(name,): value for name, value in {**_ONES, **_TENS}.items()}
    for ten, value_of_ten in _TENS.items():
        found.update({(ten, one): value_of_ten + value for one, value in _ONES.items() if 0 < value < 10})
    return Phrases(found)


def _ordinals() -> Phrases[int]:
    found = single({**_ORDINALS, **_TENTHS})
    for ten, value_of_ten in _TENS.items():
        found.update({(ten, one): value_of_ten + value for one, value in _ORDINALS.items() if value < 10})
    return Phrases(found)


def _denominators() -> dict[str, int]:
    found = {name: value for name, value in {**_ORDINALS, **_TENTHS}.items() if value > 2}
    found |= {name + "s": value for name, value in found.items()}
    found |= {"half": 2, "halves": 2, "quarter": 4, "quarters": 4, "hundredth": 100, "hundredths": 100}
    return found | {"thousandth": 1000, "thousandths": 1000, "millionth": 10**6, "millionths": 10**6}


_NUMERALS = Numerals(
    small=_small(),
    hundred=words("hundred"),
    hundreds_up_to=99,
    thousand=words("thousand"),
    scales=_SCALES,
    joiners=words("and"),
    one=words("a"),
    digits={**{name: str(value) for name, value in _ONES.items() if value < 10}, "oh": "0", "o": "0"},
    ordinals=_ordinals(),
    ordinal_scales={
        "zeroth": 0, "hundredth": 100, "thousandth": 1000, "millionth": 10**6, "billionth": 10**9, "trillionth": 10**12,
    },
    denominators=_denominators(),
)  # fmt: skip

_PREFIXES = {
    "kilo": "k", "mega": "M", "giga": "G", "tera": "T", "peta": "P", "milli": "m", "micro": "μ", "nano": "n", "centi": "c",
    "deci": "d", "hecto": "h",
}  # fmt: skip
_UNITS = """
meter, meters, metre, metres = m; gram, grams, gramme, grammes = g; liter, liters, litre, litres = L;
watt, watts = W; watt hour, watt hours = Wh; volt, volts = V; amp, amps, ampere, amperes = A; hertz = Hz; byte, bytes = B;
bit, bits = b; joule, joules = J; pascal, pascals = Pa; newton, newtons = N; siemens = S; ohm, ohms = Ω; calorie, calories = cal;
mile, miles = mi; foot, feet = ft; inch, inches = in; yard, yards = yd; pound, pounds = lb; ounce, ounces = oz;
horsepower = hp; hectare, hectares = ha; acre, acres = ac; c c = cc; cc = cc; decibel, decibels = dB;
degree, degrees = °; degree celsius, degrees celsius, degree centigrade, degrees centigrade = °C;
degree fahrenheit, degrees fahrenheit = °F; astronomical unit, astronomical units = au; kilograms force, kilogram force = kgf;
miles per hour, mile per hour, miles an hour, mile an hour = mph; kilometers an hour, kilometres an hour = km/h;
knot, knots = kn; gallon, gallons = gal; pint, pints = pt; kilo, kilos, k g = kg; k m = km; c m = cm;
gig, gigs = GB; meg, megs = MB;
light year, light years = ly; square foot, square feet = sq ft; square mile, square miles = sq mi;
square inch, square inches = sq in;
square yard, square yards = sq yd; cubic foot, cubic feet = cu ft; cubic inch, cubic inches = cu in; cubic yards = cu yd;
electron volts, electron volt = eV; fluid ounces, fluid ounce = fl oz; r p m, rpm = rpm; d p i, dpi = dpi;
megabits per second = Mbps; gigabits per second = Gbps; kilobits per second = kbps; frames per second = fps;
pounds per square inch = psi; p s i, psi = psi
"""
_CURRENCIES = """
dollar, dollars, us dollar, us dollars, united states dollar, united states dollars, american dollars = $;
u s dollars, u s dollar = $;
australian dollar, australian dollars = A$; canadian dollar, canadian dollars = C$; new zealand dollars = NZ$;
hong kong dollars = HK$; singapore dollars = S$; pound, pounds, pounds sterling, british pounds = £; euro, euros = €;
yen = ¥; rupee, rupees = ₹; won = ₩; rubles, ruble, roubles = ₽; shekel, shekels = ₪; yuan = yuan; peso, pesos = pesos;
swiss franc, swiss francs = CHF; franc, francs = francs; reais = R$
"""
_MONTHS = listed("January February March April May June July August September October November December")
_CLOCK = (
    ClockPattern(words=("H", "MM"), form="{h}:{mm}"),
    ClockPattern(words=("H",), form="{h}", needs_half_day=True),
    ClockPattern(words=("H", "o'clock"), form="{h} o'clock"),
    ClockPattern(words=("a?", "quarter", "past|after", "H"), minute=15, form="{h}:{mm}"),
    ClockPattern(words=("half", "past", "H"), minute=30, form="{h}:{mm}"),
    ClockPattern(words=("a?", "quarter", "to|till|before", "H"), minute=-15, form="{h}:{mm}"),
    ClockPattern(
        words=("M", "minutes|minute|min|mins?", "past|after", "H"), minute=1, form="{h}:{mm}", needs_half_day=True
    ),
    ClockPattern(
        words=("M", "minutes|minute|min|mins", "to|before", "H"), minute=-1, form="{h}:{mm}", needs_half_day=True
    ),
    ClockPattern(words=("M", "past", "H"), minute=1, form="{h}:{mm}"),
    ClockPattern(words=("M", "to", "H"), minute=-1, form="{h}:{mm}", needs_half_day=True),
)


def tables() -> Locale:
    """The tables of English."""
    return Locale(
        code="en",
        numerals=_NUMERALS,
        group=",",
        decimal=".",
        stay_words=10,
        rewrites_small=True,
        point=words("point"),
        minus=words("minus negative"),
        plus=words("plus"),
        half=Phrases({("and", "a", "half"): "5"}),
        percent=phrases("percent, per cent, % = %"),
        currencies=currencies(_CURRENCIES),
        minors={"cent": "¢", "cents": "¢", "pence": "p", "penny": "p"},
        money_joiners=words("and"),
        units=units(
            _UNITS, _PREFIXES, ("m", "g", "L", "W", "Wh", "V", "A", "Hz", "B", "b", "J", "Pa", "N", "S", "cal")
        ),
        prefixes=_PREFIXES,
        per=table("hour = h; second = s; minute = min; day = day; week = week; month = month; year = year"),
        per_words=words("per"),
        squares={"square": "²", "squared": "²", "cubic": "³", "cubed": "³"},
        range_words=words("to"),
        ordinal_style="english",
        months={month.lower(): month for month in _MONTHS},
        day_joiners=words("of"),
        year_joiners=words("of"),
        ordinal_days=True,
        decades={name[:-1] + "ies": value for name, value in _TENS.items()},
        eras=phrases("b c, bc, b.c. = BC; a d, ad, a.d. = AD; b c e, bce = BCE; c e, ce = CE"),
        paired_years=True,
        year_joiner_zero=words("oh o"),
        clock=_CLOCK,
        half_days=phrases("a m, am = a.m.; p m, pm = p.m."),
        zones=words("est edt cst cdt mst mdt pst pdt gmt utc bst cet cest ist jst aest"),
        time_cues=words("at by until till around about before after from past since starts start between"),
        after_time=words(
            "in on at and or tomorrow today tonight this every sharp then so for because if when until till but with "
            "monday tuesday wednesday thursday friday saturday sunday please"
        ),
        numbered=words(
            "room flight boeing airbus route highway interstate bus gate suite apartment apt unit channel model platform page "
            "building section sector bay lot train locker terminal"
        ),
        streets=words("street st avenue ave road boulevard parkway highway"),
        repeats={"double": 2, "triple": 3, "treble": 3},
        address=phrases(
            "dot = .; at = @; slash, forward slash = /; colon = :; underscore = _; dash, hyphen, minus = -; question mark = ?; "
            "equals, equal sign = =; hash = #"
        ),
        letters=phrases("double u = w; double you = w; zed = z"),
        written_ordinal="(?:st|nd|rd|th)",
        sign_names=table("% = percent; $ = dollars; £ = pounds; € = euros; ¥ = yen"),
    )
