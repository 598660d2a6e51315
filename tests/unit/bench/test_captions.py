"""The figures of the page of live captions, from what a page recorded."""

import pytest

from bench import captions

FOUND = {
    "zero": 1000.0,
    "words": [
        {"text": "Good", "end": 0.5, "near": False},
        {"text": "morning", "end": 1.0, "near": False},
        {"text": ".", "end": 1.0, "near": True},
    ],
    "received": [2500.0, 2500.0, 2600.0],
    "shown": [2520.0, 2520.0, 2650.0],
    "changes": [[1900.0, 1], [2200.0, 2], [2520.0, 0]],
}


def test_delays_count_from_the_ends_of_words_and_marks_are_left_out():
    told = captions.figures(FOUND)
    assert told["words"] == 2
    assert told["final_received_s"] == pytest.approx({"median": 0.5, "p95": 1.0, "longest": 1.0})
    assert told["final_shown_s"]["longest"] == pytest.approx(1.02)
    assert told["shown_after_received_s"]["median"] == pytest.approx(0.02)
    assert told["partial_shown_s"] == pytest.approx({"median": 0.2, "p95": 0.4, "longest": 0.4})
    assert told["changes_of_the_partial"] == 3
    assert told["between_changes_s"]["longest"] == pytest.approx(0.32)
