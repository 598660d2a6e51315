"""The score of translations."""

import pytest

from bench.translation import chrf


@pytest.mark.parametrize(
    ("found", "wanted", "score"),
    [
        (["The cat sat."], ["The cat sat."], 100.0),
        (["The  cat sat."], ["Thecatsat ."], 100.0),
        (["xyz"], ["abc"], 0.0),
        ([""], ["abc"], 0.0),
        # by hand: 2 of 3 letters, 1 of 2 pairs, 0 of the longer ones, precision and recall alike
        (["abx"], ["aby"], round(100 * (2 / 3 + 1 / 2) / 6, 1)),
    ],
)
def test_chrf(found: list[str], wanted: list[str], score: float) -> None:
    assert chrf(found, wanted) == score


def test_recall_counts_more_than_precision() -> None:
    assert chrf(["abcdefgh ijkl"], ["abcdefgh"]) > chrf(["abcd"], ["abcdefgh"])
