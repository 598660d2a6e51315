"""The long live session: a short slice of it, and what counts as a fault."""

from typing import Any

import pytest

from bench import soak
from bench.realtime import Sound
from sottovoce.transcript.model import RATE


def test_a_slice_of_the_scripted_session_has_no_fault() -> None:
    """Some minutes of words and pauses: each word is final once, at its time, and memory does not grow."""
    found = soak.simulate(0.08, seed=11)
    assert found["faults"] == []
    assert found["lost"] == 0
    assert sum(row["right"] for row in found["tenths"]) == sum(row["words"] for row in found["tenths"]) > 100


def row(**members: Any) -> dict[str, Any]:
    return {"wrong": 0, "drift_s": 0.0, "latest_final_s": 2.0, "resident_mb": 80.0, **members}


@pytest.mark.parametrize(
    ("last", "lost", "faults"),
    [
        (row(), 0, []),
        (row(), 1, ["1 words lost, 0 wrong"]),
        (row(wrong=2), 0, ["0 words lost, 2 wrong"]),
        (row(drift_s=0.06), 0, ["the times of words drift"]),
        (row(resident_mb=90.0), 0, ["memory grows"]),
        (row(latest_final_s=3.1), 0, ["finals come later and later"]),
    ],
)
def test_what_drifts_is_a_fault(last: dict[str, Any], lost: int, faults: list[str]) -> None:
    assert soak._scripted_faults([row(), last], lost) == faults


def test_the_rounds_of_a_real_session_are_compared_with_the_first() -> None:
    sound = Sound(pcm=bytes(20 * RATE), reference=("one", "two"))  # 10 s

    def said(shift: float, delay: float, first: str = "one") -> list[soak.Arrived]:
        return [
            soak.Arrived(text=text, end=end + shift, at=end + shift + delay)
            for text, end in ((first, 1.0), ("two", 2.0))
        ]

    rows = soak.rounds([*said(0.0, 1.0), *said(10.1, 2.5, "won")], sound)
    assert [each["words"] for each in rows] == [2, 2]
    assert [each["wrong"] for each in rows] == [0.0, 0.5]
    assert [each["shift_s_median"] for each in rows] == pytest.approx([0.0, 0.1])
    assert [each["final_s_median"] for each in rows] == pytest.approx([1.0, 2.5])
    grown = [{"server_mb": 100.0, "engines_mb": 200.0}, {"server_mb": 100.0, "engines_mb": 300.0}]
    assert soak._real_faults(rows, grown) == [
        "engines_mb grows from 200 to 300",
        "the times of words drift",
        "finals come later and later",
    ]
    assert soak._real_faults(rows[:1], grown[:1]) == []
