"""Which handshakes are accepted."""

from dataclasses import dataclass

import pytest

from sottovoce.realtime.admission import Sessions, admits


@dataclass
class Load:
    busy: float = 0.0
    capacity: float = 4.0
    sessions: int = 0


@pytest.mark.parametrize(
    ("load", "pending", "accepted", "fits"),
    [
        (Load(), 0, 0, True),
        (Load(capacity=0.5), 0, 0, True),  # a slow machine serves one session
        (Load(capacity=0.0), 0, 0, False),  # no recogniser
        (Load(busy=1.0), 0, 0, False),  # batch uses everything
        (Load(busy=0.74), 0, 1, True),
        (Load(busy=0.76), 0, 1, False),
        (Load(), 3, 3, True),
        (Load(), 4, 4, False),  # simultaneous handshakes see an idle server
        (Load(busy=0.5), 1, 3, True),
        (Load(busy=0.5), 2, 4, False),
    ],
)
def test_sessions_without_a_recogniser_count_at_their_cost(load: Load, pending: int, accepted: int, fits: bool) -> None:
    assert admits(load, pending, accepted) is fits


def test_the_load_contains_the_sessions_that_have_a_recogniser() -> None:
    load = Load(busy=0.55, sessions=1)
    sessions = Sessions(lambda: load, 100)
    with sessions.slot() as first, sessions.slot() as second:
        assert (first, second) == (True, True)
        with sessions.slot() as third:
            assert third is False  # the second has no recogniser yet
        load.sessions = 2
        assert sessions.has_room()


def test_slots_are_freed() -> None:
    sessions = Sessions(Load, 2)
    with sessions.slot() as first, sessions.slot() as second:
        assert (first, second, len(sessions)) == (True, True, 2)
        with sessions.slot() as third:
            assert third is False
        assert len(sessions) == 2
    assert len(sessions) == 0
    assert sessions.has_room()


def test_a_stopping_server_has_no_room() -> None:
    sessions = Sessions(Load, 2)
    assert sessions.retry_after == 5
    sessions.stop()
    assert not sessions.has_room()
    assert sessions.retry_after == 30
