"""Calibration of word probabilities: maps a model's probability to the measured share of correct words.

`calibration.json`, in the model's folder, holds `[[probability, accuracy], …]`, both 0..1: the share of correct words
(accuracy) among the words to which the model gave about that probability. `bench/accuracy.py` measures and writes it.
"""

import json
import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FILE = "calibration.json"
"""Name of the file in the model's folder."""
MAX_POINTS = 1_000
"""Most points of a calibration."""
MAX_BYTES = 100_000
"""Most bytes of the file: room for `MAX_POINTS` pairs of numbers."""

Point = tuple[float, float]
"""A probability and its accuracy, both 0..1."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """At least one point; probabilities rise strictly and accuracies never fall, both 0..1.

    Errors: ValueError for other points.
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
        """The accuracy 0..1 at *probability*: linear between points, constant outside them. NaN counts as 0."""
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
"""Accuracy equals probability: for a model without a measured calibration."""


def parse(text: str) -> Calibration:
    """The calibration in *text* (JSON). Errors: ValueError for text that is not a valid calibration."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(raw, list) or not all(isinstance(point, list) and len(point) == 2 for point in raw):  # noqa: PLR2004
        raise ValueError("it is not a list of pairs")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for point in raw for value in point):
        raise ValueError("its pairs are not numbers")
    try:
        return Calibration(tuple((float(x), float(y)) for x, y in raw))
    except OverflowError as error:
        raise ValueError("its numbers are too large") from error


def dump(calibration: Calibration) -> str:
    """*calibration* as JSON text for `parse`."""
    return json.dumps([list(point) for point in calibration.points]) + "\n"


def load(folder: Path) -> Calibration:
    """The calibration of the model in *folder*; `IDENTITY` if it has none.

    Errors: ValueError for an invalid file; OSError if it cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return IDENTITY
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is too large")
    try:
        return parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
