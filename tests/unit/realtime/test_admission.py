"""Which handshakes are accepted."""

from dataclasses import dataclass

import pytest

from sottovoce.realtime.admission import Sessions, admits


@dataclass
class Load:
    busy: float = 0.0
    capacity: float = 4.0


@pytest.mark.parametrize(
    ("load", "ages", "fits"),
    [
        (Load(), [], True),
        (Load(capacity=0.5), [], True),  # a slow machine serves one session
        (Load(capacity=0.0), [], False),  # no recogniser
        (Load(busy=1.0), [], False),  # batch uses everything
        (Load(busy=0.74), [100.0], True),
        (Load(busy=0.76), [100.0], False),
        (Load(), [0.0, 0.0, 0.0], True),
        (Load(), [0.0, 0.0, 0.0, 0.0], False),  # simultaneous handshakes see an idle server
        (Load(busy=0.5), [15.0, 15.0], True),  # half of each is measured already
        (Load(busy=0.5), [10.0, 10.0], False),
    ],
)
def test_young_sessions_count_at_their_estimated_load(load: Load, ages: list[float], fits: bool) -> None:
    assert admits(load, ages) is fits


def test_slots_are_freed() -> None:
    now = [0.0]
    sessions = Sessions(Load, 2, lambda: now[0])
    with sessions.slot() as first, sessions.slot() as second:
        assert (first, second, len(sessions)) == (True, True, 2)
        with sessions.slot() as third:
            assert third is False
        assert len(sessions) == 2
    assert len(sessions) == 0
    assert sessions.has_room()


def test_a_stopping_server_has_no_room() -> None:
    sessions = Sessions(Load, 2, lambda: 0.0)
    assert sessions.retry_after == 5
    sessions.stop()
    assert not sessions.has_room()
    assert sessions.retry_after == 30
