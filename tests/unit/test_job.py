import pytest

from sottovoce import job
from sottovoce.job import LIVE, NO_TRANSCRIPT, REMOVED, TERMINAL, TRANSITIONS, Event, State


def test_every_event_can_happen() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_every_state_can_be_reached() -> None:
    reached = {State.QUEUED}
    while more := {to for (state, _), to in TRANSITIONS.items() if state in reached} - reached:
        reached |= more
    assert reached == set(State)


def test_no_way_out_of_a_tombstone() -> None:
    assert not [state for state, _ in TRANSITIONS if state in REMOVED]


def test_everything_but_a_tombstone_can_be_removed_and_lapse() -> None:
    for event in (Event.REMOVED, Event.EXPIRED_BY_RETENTION):
        assert set(job.sources(event)) == set(State) - REMOVED


def test_live_and_terminal_share_the_states_out() -> None:
    assert set(State) == LIVE | TERMINAL
    assert not LIVE & TERMINAL
    assert REMOVED < TERMINAL
    assert sorted(TERMINAL - REMOVED) == [State.DONE, State.REJECTED]


def test_work_can_only_end_from_live_states_and_only_running_work_finishes() -> None:
    assert job.sources(Event.FINISHED) == (State.RUNNING,)
    assert set(job.sources(Event.FAILED)) == LIVE
    assert set(job.sources(Event.CLAIMED)) == LIVE
    assert job.sources(Event.RETRIED) == (State.REJECTED,)


@pytest.mark.parametrize("event", Event)
def test_sources_and_target_are_the_table(event: Event) -> None:
    for state in State:
        assert (state in job.sources(event)) is ((state, event) in TRANSITIONS)
    assert {TRANSITIONS[state, event] for state in job.sources(event)} == {job.target(event)}


@pytest.mark.parametrize(
    ("event", "to"),
    [
        (Event.CLAIMED, State.RUNNING),
        (Event.FINISHED, State.DONE),
        (Event.FAILED, State.REJECTED),
        (Event.RETRIED, State.QUEUED),
        (Event.REMOVED, State.DELETED),
        (Event.EXPIRED_BY_RETENTION, State.EXPIRED),
    ],
)
def test_where_events_lead(event: Event, to: State) -> None:
    assert job.target(event) is to


def test_an_event_without_one_target_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRANSITIONS, (State.DONE, Event.FINISHED), State.REJECTED)
    with pytest.raises(LookupError, match="finished"):
        job.target(Event.FINISHED)


def test_only_a_finished_job_has_a_transcript() -> None:
    assert set(NO_TRANSCRIPT) == set(State) - {State.DONE}
