"""Tables of the spoken forms of English abbreviations, units and signs, separated by bars, most probable first."""

from sottovoce.transcript.verbalization.variants import Way


def _table(text: str) -> dict[str, tuple[Way, ...]]:
    """The table in *text*: lines of `key: way | way`, with several keys on a line separated by `;`."""
    entries = (entry.split(":", 1) for line in text.strip().splitlines() for entry in line.split(";"))
    return {key.strip(): tuple(tuple(way.split()) for way in ways.split("|")) for key, ways in entries}


ABBREVIATIONS = _table("""
mr: mister; mrs: missus | mistress; ms: miz; dr: doctor | drive; prof: professor; jr: junior; sr: senior; esq: esquire
vs: versus | v s; etc: et cetera; eg: for example | e g; ie: i e | that is; approx: approximately; dept: department
blvd: boulevard; ltd: limited; corp: corporation; sgt: sergeant; capt: captain; cmdr: commander
ph.d: p h d | doctor of philosophy; ok: okay | o k; w/o: without; w/: with; b/c: because; c/o: care of
""")
"""Abbreviations that are spoken in full with or without a full stop."""

DOTTED = _table("""
st: saint | street; ave: avenue; rd: road; ln: lane; hwy: highway; ft: fort | feet; col: colonel; maj: major; rev: reverend
sen: senator; rep: representative; pres: president; supt: superintendent; inc: incorporated; co: company; bros: brothers
dec: december; jan: january; feb: february; mar: march; apr: april; jun: june; jul: july; aug: august; sep: september
sept: september; oct: october; nov: november; mon: monday; tue: tuesday; tues: tuesday; wed: wednesday; thu: thursday
thur: thursday; thurs: thursday; fri: friday; cf: compare | c f; est: established | estimated; govt: government
assn: association; univ: university; intl: international; apt: apartment; bldg: building; messrs: messieurs; v: versus | v
c: circa | c; misc: miscellaneous; min: minutes | minimum; mt: mount; mts: mountains; tel: telephone; ext: extension
gov: governor; gen: general; lt: lieutenant; hon: honorable; hrs: hours; mins: minutes
""")
"""Abbreviations that are spoken in full only before a full stop."""

COUNTED = _table("""
no: number; nos: numbers; p: page | p; pp: pages; fig: figure; figs: figures; vol: volume; ch: chapter; sec: section
art: article; pt: part; par: paragraph; eq: equation; ex: example; op: opus; rm: room; rte: route; v: verse | v
jan: january; feb: february; mar: march; apr: april; jun: june; jul: july; aug: august; sep: september; sept: september
oct: october; nov: november; dec: december
""")
"""Abbreviations that are spoken in full before a number."""

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip

SCALES = {
    "k": "thousand", "m": "million", "mn": "million", "mm": "million", "bn": "billion", "b": "billion", "tn": "trillion",
    "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion", "hundred": "hundred",
}  # fmt: skip

CURRENCIES: dict[str, tuple[str, str, str, str]] = {
    "$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "sen", "sen"), "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"), "₽": ("ruble", "rubles", "kopek", "kopeks"), "₿": ("bitcoin", "bitcoins", "", ""),
    "₪": ("shekel", "shekels", "agora", "agorot"), "₺": ("lira", "lira", "kurus", "kurus"),
}  # fmt: skip
"""Singular and plural of the currency and of its hundredth."""

_UNITS = """
km: kilometer, kilometers, k | m: meter, meters | cm: centimeter, centimeters | mm: millimeter, millimeters
mi: mile, miles | ft: foot, feet | in: inch, inches | yd: yard, yards | kg: kilogram, kilograms, kilos | g: gram, grams
mg: milligram, milligrams | lb: pound, pounds | lbs: pound, pounds | oz: ounce, ounces | t: ton, tons | l: liter, liters
L: liter, liters | ml: milliliter, milliliters | mL: milliliter, milliliters | s: second, seconds | sec: second, seconds
secs: second, seconds | min: minute, minutes | mins: minute, minutes | h: hour, hours | hr: hour, hours | hrs: hour, hours
ms: millisecond, milliseconds | Hz: hertz, hertz | kHz: kilohertz, kilohertz | MHz: megahertz, megahertz
GHz: gigahertz, gigahertz, gigs | W: watt, watts | kW: kilowatt, kilowatts | MW: megawatt, megawatts | V: volt, volts
GW: gigawatt, gigawatts | kWh: kilowatt hour, kilowatt hours | kB: kilobyte, kilobytes | KB: kilobyte, kilobytes
MB: megabyte, megabytes, megs | GB: gigabyte, gigabytes, gigs | TB: terabyte, terabytes
Mbps: megabit per second, megabits per second
Gbps: gigabit per second, gigabits per second | kbps: kilobit per second, kilobits per second | mph: mile per hour, miles per hour
km/h: kilometer per hour, kilometers per hour, kilometers an hour | kmh: kilometer per hour, kilometers per hour
kph: kilometer per hour, kilometers per hour | m/s: meter per second, meters per second | rpm: r p m, revolutions per minute
bpm: beat per minute, beats per minute | fps: frame per second, frames per second | dB: decibel, decibels
kcal: kilocalorie, kilocalories | cal: calorie, calories | m²: square meter, square meters, meters squared
km²: square kilometer, square kilometers | ft²: square foot, square feet | m³: cubic meter, cubic meters
sq: square, square | ha: hectare, hectares | nm: nanometer, nanometers | px: pixel, pixels | x: times, times, x
°C: degree celsius, degrees celsius, degrees, degrees centigrade, degrees c | °: degree, degrees
°F: degree fahrenheit, degrees fahrenheit, degrees, degrees f | %: percent, percent | ‰: per mille, per mille
¢: cent, cents | p: p, pence | c: cent, cents, c | bn: billion, billion | mn: million, million
k: k, k, thousand | K: k, k, thousand | M: million, million, m | B: billion, billion, b | am: a m, a m | pm: p m, p m
AM: a m, a m | PM: p m, p m | a.m: a m, a m | p.m: p m, p m | A.M: a m, a m | P.M: p m, p m
"""
UNITS: dict[str, tuple[Way, ...]] = {
    key.strip(): tuple(tuple(way.split()) for way in ways.split(","))
    for key, ways in (entry.split(":", 1) for line in _UNITS.strip().splitlines() for entry in line.split("|"))
}
"""Singular, plural, and further spoken forms of each unit."""

LONELY = frozenset(
    {
        "km",
        "cm",
        "mm",
        "kg",
        "lb",
        "lbs",
        "oz",
        "mph",
        "km/h",
        "kph",
        "kmh",
        "kHz",
        "MHz",
        "GHz",
        "kWh",
        "GB",
        "MB",
        "TB",
        "°C",
        "°F",
    }
)
"""Units without another meaning, which are recognised without a number in digits, as in `five km`."""
ATTACHED = frozenset({"in", "x", "p", "c", "t", "sq", "s", "M", "B"})
"""Units that are recognised only directly after their number, without a blank."""

SIGNS = _table("""
&: and; +: plus; =: equals | is; @: at; #: number | hashtag | hash | pound; /: slash; °: degrees | degree; ×: times | by
÷: divided by | over; <: less than; >: greater than; %: percent; ≤: less than or equal to; ≥: greater than or equal to
≈: approximately | about; ~: about | approximately; ±: plus or minus; ≠: does not equal | not equal to; √: square root of; ^: to the
−: minus; →: to; ∞: infinity; §: section; ©: copyright; ™: trademark; ®: registered
$: dollars | dollar; £: pounds | pound; €: euros | euro; ¥: yen; ₹: rupees | rupee; ¢: cents | cent; ‰: per mille
""")
"""Signs on their own."""

INSIDE = {sign: SIGNS[sign] for sign in "&+=@/%°×÷^§$£€¥₹¢−"} | {
    "#": (("hashtag",), ("hash",)),
    "/": ((), ("slash",)),
}
"""Signs between the letters of a word."""

IN_ADDRESSES = _table("""
.: dot; @: at; /: slash; -: dash | hyphen; _: underscore; ?: question mark; =: equals; &: and; #: hash; %: percent; +: plus
~: tilde
""") | {":": (("colon",),)}
"""Signs in web and mail addresses."""

SPELLED = frozenset(
    {"www", "http", "https", "html", "php", "pdf", "uk", "eu", "io", "tv", "us", "ai", "de", "fr", "ftp"}
)
"""Parts of addresses that are spelled letter by letter."""

NUMBERED = frozenset({
    "chapter", "part", "act", "scene", "war", "volume", "section", "phase", "type", "class", "stage", "title", "article",
    "appendix", "mark", "bowl", "book", "level", "grade", "episode", "figure", "table", "step", "vatican", "rocky", "group",
})  # fmt: skip
"""Words after which a Roman numeral is read as a cardinal number."""

CLIPPED = frozenset({"em", "til", "cause", "tis", "twas", "bout", "round", "n", "s", "course", "neath"})
"""Words that may begin with an apostrophe: 'em, 'til."""
