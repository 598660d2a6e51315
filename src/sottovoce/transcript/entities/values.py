"""The values that the rules of entities exchange: numbers, matches, and spans over items."""

from dataclasses import dataclass

ALPHANUM, CARDINAL, DECIMAL, FRACTION = "alphanum", "cardinal", "decimal", "fraction"
ORDINAL, MONEY, PERCENTAGE, DATE = "ordinal", "money", "percentage", "date"
TIME, SPAN, CREDIT_CARD, TELEPHONE = "time", "span", "credit card", "telephone"
ELECTRONIC, MEASUREMENT = "electronic", "measurement"

CLASSES = (
    ALPHANUM, CARDINAL, DECIMAL, FRACTION, ORDINAL, MONEY, PERCENTAGE, DATE, TIME, SPAN, CREDIT_CARD, TELEPHONE, ELECTRONIC,
    MEASUREMENT,
)  # fmt: skip
"""The classes of the contract (§7.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number that ends before the token *end*: *whole*, digits of the *fraction*, and the *scale* word of `5 million`.

    *negative*: it was said with a minus. *spoken_zero*: a whole part was said (`zero point five`, not `point five`).
    *digits*: at least one part was written in digits.
    """

    whole: int
    end: int
    fraction: str | None = None
    scale: str | None = None
    factor: int = 1  # of the scale
    negative: bool = False
    spoken_zero: bool = True
    digits: bool = False

    @property
    def value(self) -> float:
        """The value, for comparisons only."""
        number = float(f"{self.whole}.{self.fraction or 0}") * self.factor
        return -number if self.negative else number

    @property
    def integral(self) -> bool:
        """True for a whole number without a scale word."""
        return self.fraction is None and self.scale is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule's result: tokens up to *end* are written as *parts*, words of class *entity_class*; `None`: ordinary words."""

    end: int
    entity_class: str | None
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Items *first* … *last* (exclusive) have the written form *parts*; *entity_class* `None`: it is an ordinary word."""

    first: int
    last: int
    entity_class: str | None
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        """The written form."""
        return " ".join(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The *spans* of a list of items in order, without overlap.

    *open_from*: the index of the first item whose spans may still change when more items follow.
    """

    spans: tuple[Span, ...]
    open_from: int
