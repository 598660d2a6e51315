"""How sure a model is, and how often it is right: a line between measured points, kept beside the model's files.

`calibration.json` holds `[[probability, accuracy], …]`, both 0..1: of the words that the model gave about so much
probability, so many were right. `bench/accuracy.py` measures and writes it.
"""

import json
import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FILE = "calibration.json"
MAX_POINTS = 1_000
MAX_BYTES = 100_000

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Points with strictly rising probability and accuracy that never falls, both 0..1; one point at least.

    Errors: ValueError for anything else.
    """

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.points) <= MAX_POINTS:
            raise ValueError(f"a calibration has 1 to {MAX_POINTS} points")
        if not all(0.0 <= value <= 1.0 for point in self.points for value in point):
            raise ValueError("probability and accuracy are between 0 and 1")
        if not all(x0 < x1 and y0 <= y1 for (x0, y0), (x1, y1) in pairwise(self.points)):
            raise ValueError("probability must rise from point to point, and accuracy not fall")

    def __call__(self, probability: float) -> float:
        """The accuracy at *probability*, 0..1: linear between points, level outside them. Not a number counts as 0."""
        if math.isnan(probability):
            probability = 0.0
        after = bisect_right(self.points, probability, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (x0, y0), (x1, y1) = self.points[after - 1 : after + 1]
        return y0 + (y1 - y0) * (probability - x0) / (x1 - x0)


IDENTITY = Calibration(((0.0, 0.0), (1.0, 1.0)))
"""What a model says of itself, taken at its word: for one that nobody has measured."""


def parse(text: str) -> Calibration:
    """The calibration in *text* (JSON). Errors: ValueError for text that holds none."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(raw, list) or not all(isinstance(point, list) and len(point) == 2 for point in raw):  # noqa: PLR2004
        raise ValueError("it is no list of pairs")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for point in raw for value in point):
        raise ValueError("its pairs are not of numbers")
    try:
        return Calibration(tuple((float(x), float(y)) for x, y in raw))
    except OverflowError as error:
        raise ValueError("its numbers are too large") from error


def dump(calibration: Calibration) -> str:
    """*calibration* as `parse` reads it."""
    return json.dumps([list(point) for point in calibration.points]) + "\n"


def load(folder: Path) -> Calibration:
    """The calibration of the model in *folder*; `IDENTITY` where it has none.

    Errors: ValueError for a file that holds none; OSError where it cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return IDENTITY
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is too large")
    try:
        return parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError("it is no text") from error
