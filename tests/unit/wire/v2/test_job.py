from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.job import LIVE, REMOVED, State
from sottovoce.wire.v2.job import STATUS, SUBMIT_STATUS, JobView, job_object, whole_seconds

CONFIG: dict[str, Any] = {
    "type": "transcription",
    "transcription_config": {"language": "en", "additional_vocab": None, "operating_point": "standard"},
    "notification_config": None,
}
VIEW = JobView(
    id="yjbmf9kqub",
    state=State.DONE,
    created_at=1_780_257_581_742,
    data_name="a.wav",
    duration_ms=15_880,
    config=CONFIG,
)
states = pytest.mark.parametrize("state", State)


def test_a_job_as_observed() -> None:
    assert job_object(VIEW) == {
        "config": CONFIG,
        "created_at": "2026-05-31T19:59:41.742Z",
        "data_name": "a.wav",
        "duration": 16,
        "id": "yjbmf9kqub",
        "status": "done",
    }


def test_keys_stand_in_alphabetical_order() -> None:
    full = replace(VIEW, errors=((1, "why"),), text_name="t.txt")
    assert list(job_object(full)) == sorted(job_object(full))
    assert "text_name" in job_object(full)


def test_the_config_comes_back_as_it_was_submitted() -> None:
    shown = job_object(VIEW)["config"]
    assert shown == CONFIG
    assert list(shown) == list(CONFIG)
    assert shown["transcription_config"]["additional_vocab"] is None


def test_a_tombstone_has_no_config() -> None:
    body = job_object(replace(VIEW, state=State.DELETED, config=None, data_name="", duration_ms=0))
    assert body == {
        "created_at": "2026-05-31T19:59:41.742Z",
        "data_name": "",
        "duration": 0,
        "id": "yjbmf9kqub",
        "status": "deleted",
    }


def test_an_empty_config_is_a_config() -> None:
    assert job_object(replace(VIEW, config={}))["config"] == {}


def test_errors_stand_in_the_order_given() -> None:
    body = job_object(replace(VIEW, state=State.REJECTED, errors=((1500, "first"), (1000, "second"))))
    assert body["errors"] == [
        {"message": "first", "timestamp": "1970-01-01T00:00:01.500Z"},
        {"message": "second", "timestamp": "1970-01-01T00:00:01.000Z"},
    ]


@states
def test_every_state_has_a_status_of_the_contract(state: State) -> None:
    assert job_object(replace(VIEW, state=state))["status"] in {"running", "done", "rejected", "deleted", "expired"}
    assert (STATUS[state] == "running") == (state in LIVE)
    assert (STATUS[state] in {"deleted", "expired"}) == (state in REMOVED)


@states
def test_a_submission_says_created_where_a_job_says_running(state: State) -> None:
    assert SUBMIT_STATUS[state] == ("created" if state in LIVE else STATUS[state])


@states
@pytest.mark.parametrize("duration", [-1, 0, 1])
def test_duration_is_always_a_whole_number(state: State, duration: int) -> None:
    assert type(job_object(replace(VIEW, state=state, duration_ms=duration))["duration"]) is int


@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [(0, 0), (499, 0), (500, 1), (1499, 1), (1500, 2), (2500, 3), (-1, 0), (-5000, 0)]
)
def test_seconds_are_rounded_half_up(milliseconds: int, seconds: int) -> None:
    assert whole_seconds(milliseconds) == seconds


@given(st.integers(0, 10**12))
def test_seconds_are_the_nearest(milliseconds: int) -> None:
    assert -500 <= milliseconds - whole_seconds(milliseconds) * 1000 < 500
