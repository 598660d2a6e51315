"""Which model a session gets: by the measured cost of each, and by the load of the machine."""

from dataclasses import replace

import pytest

from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.engines.registry import choices
from sottovoce.inference.pool import LiveFull, LiveLoad
from sottovoce.realtime.admission import admits
from sottovoce.web.api.recognizers import measured, pick

ENTRY = Capabilities(
    engine="whisper", model="base", languages=frozenset({"en", "de"}), skills=frozenset({Skill.LIVE}), grade=20
)
BASE, TINY = choices([ENTRY, replace(ENTRY, model="tiny.en", grade=12)], "test")
COSTS = {BASE.key: 0.6, TINY.key: 0.3}
IDLE = LiveLoad(sessions=0, busy=0.0, batch=0.0, unseen=0.0, cores=2, costs=COSTS)
"""Two cores, of which sessions use 85 %."""


@pytest.mark.parametrize(
    ("load", "channels", "model"),
    [
        (IDLE, 1, "base"),
        (replace(IDLE, sessions=1, busy=0.5), 1, "base"),
        (replace(IDLE, sessions=1, busy=0.6), 1, "tiny.en"),
        (replace(IDLE, sessions=1, busy=0.3), 2, "tiny.en"),  # a channel costs as much as a session
        (replace(IDLE, sessions=2, unseen=0.6), 1, "tiny.en"),  # sessions that have just begun
        (replace(IDLE, sessions=1, busy=0.3, batch=1.0), 1, "tiny.en"),  # jobs
        (replace(IDLE, sessions=3, busy=0.85), 1, "tiny.en"),  # the handshake counted on it
        (replace(IDLE, costs={BASE.key: 1.0, TINY.key: 0.6}), 1, "tiny.en"),  # one core is too slow for base
    ],
)
def test_the_best_model_for_which_there_is_room(load: LiveLoad, channels: int, model: str) -> None:
    assert pick((BASE, TINY), channels, load).model == model


def test_a_session_without_a_smaller_model() -> None:
    assert pick((BASE,), 1, replace(IDLE, costs={BASE.key: 1.0})).model == "base", "a slow machine serves one session"
    full = replace(IDLE, sessions=3, busy=0.8)
    with pytest.raises(LiveFull):  # the handshake counted on the cheaper model, which German has not
        pick((BASE,), 1, full)
    assert pick((BASE,), 1, replace(full, costs={BASE.key: 0.6})).model == "base", "the handshake has let it in"


def test_handshakes_count_on_the_cheapest_model() -> None:
    load = measured(replace(IDLE, sessions=2, busy=0.3, unseen=0.1, batch=0.1))
    assert load.sessions == 2
    assert load.busy == pytest.approx(0.43 / 0.85)
    assert load.capacity == pytest.approx(2 * 0.85 / 0.3)


def test_ten_handshakes_at_once_do_not_all_pass_whatever_they_open() -> None:
    """Each counts at the cheapest cost until it has a recogniser, then at the cost of its own."""
    sessions: list[EngineKey] = []
    for _ in range(10):
        unseen = sum(COSTS[key] for key in sessions) / IDLE.cores
        load = replace(IDLE, sessions=len(sessions), unseen=unseen)
        if admits(measured(load), 0, len(sessions)):
            sessions.append(pick((BASE, TINY), 1, load).key)
    assert [key.model for key in sessions] == ["base", "base", "tiny.en"]
    at_once = sum(admits(measured(IDLE), accepted, accepted) for accepted in range(10))
    assert at_once == 5
