import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.errors import Kind
from sottovoce.service.identity import login_throttle
from sottovoce.service.identity.login_throttle import AttemptLimit, Throttled
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from tests.unit.service.identity.account_values import BACKENDS, control_on

ADA = AttemptLimit(purpose="login", who="ada@example.org", most=3, seconds=900)
PLACE = AttemptLimit(purpose="login from", who="192.0.2.1", most=5, seconds=60)


@pytest.fixture(params=BACKENDS)
def control(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with control_on(request, tmp_path) as made:
        yield made


def tried(control: Database, *allowances: AttemptLimit) -> bool:
    try:
        with control.writing() as connection:
            login_throttle.count_attempt(connection, allowances)
    except Throttled:
        return False
    return True


def later(control: Database, seconds: float) -> None:
    with control.writing() as connection:
        connection.execute(sa.update(t.throttles).values(since=t.throttles.c.since - round(seconds * 1000)))


def rows(control: Database) -> list[tuple[str, int]]:
    with control.reading() as connection:
        statement = sa.select(t.throttles.c.subject, t.throttles.c.count).order_by(t.throttles.c.count)
        return [(row[0], row[1]) for row in connection.execute(statement)]


def test_only_so_many_attempts_are_made_in_a_while(control: Database) -> None:
    assert [tried(control, ADA) for _ in range(5)] == [True] * 3 + [False] * 2
    later(control, 890)
    assert not tried(control, ADA)
    later(control, 11)
    assert [tried(control, ADA) for _ in range(4)] == [True] * 3 + [False]


def test_who_is_throttled_hears_how_long(control: Database) -> None:
    for _ in range(3):
        tried(control, ADA)
    later(control, 600)
    with pytest.raises(Throttled, match="try again in 5 minutes") as caught, control.writing() as connection:
        login_throttle.count_attempt(connection, [ADA])
    assert caught.value.kind is Kind.RATE_LIMITED
    assert 290 < caught.value.seconds <= 300
    assert Throttled(30).why.endswith("in a minute")


def test_an_attempt_that_is_refused_counts_nowhere(control: Database) -> None:
    assert [tried(control, PLACE, ADA) for _ in range(9)] == [True] * 3 + [False] * 6
    assert [tried(control, PLACE) for _ in range(3)] == [True] * 2 + [False]


def test_purposes_and_people_are_counted_apart(control: Database) -> None:
    for _ in range(3):
        tried(control, ADA)
    assert tried(control, AttemptLimit(purpose="forgot", who=ADA.who, most=3, seconds=900))
    assert tried(control, AttemptLimit(purpose="login", who="bob@example.org", most=3, seconds=900))
    assert not tried(control, ADA)


def test_the_table_does_not_tell_who_tried(control: Database) -> None:
    tried(control, ADA, PLACE)
    assert all(len(subject) == 64 for subject, _ in rows(control))
    assert ADA.subject != PLACE.subject


def test_what_succeeded_is_given_back_and_never_more(control: Database) -> None:
    for _ in range(3):
        tried(control, ADA)
    with control.writing() as connection:
        login_throttle.uncount(connection, [ADA, PLACE])
    assert [tried(control, ADA) for _ in range(2)] == [True, False]
    with control.writing() as connection:
        for _ in range(9):
            login_throttle.uncount(connection, [ADA])
    assert rows(control) == [(ADA.subject, 0)]
    assert [tried(control, ADA) for _ in range(4)] == [True] * 3 + [False]


def test_a_count_may_be_forgotten(control: Database) -> None:
    for _ in range(4):
        tried(control, ADA)
    with control.writing() as connection:
        login_throttle.forget(connection, ADA)
    assert tried(control, ADA)


def test_old_counts_go(control: Database) -> None:
    for number in range(3):
        tried(control, AttemptLimit(purpose="login", who=str(number), most=1, seconds=60))
    later(control, login_throttle.LONGEST + 1)
    assert tried(control, ADA)
    assert rows(control) == [(ADA.subject, 1)]


def test_attempts_at_once_are_all_counted(control: Database) -> None:
    async def spend() -> bool:
        try:
            await control.write(lambda connection: login_throttle.count_attempt(connection, [ADA, PLACE]))
        except Throttled:
            return False
        return True

    async def run() -> list[bool]:
        return await asyncio.gather(*(spend() for _ in range(12)))

    assert sum(asyncio.run(run())) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False), ("192.0.2.1", "::ffff:192.0.2.1", True), ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False), ("", "", True), ("testclient", "testclient", True), ("::1", "127.0.0.1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)  # fmt: skip
def test_a_place_is_what_a_client_cannot_change_at_will(one: str, other: str, same: bool) -> None:
    assert (login_throttle.network_of(one) == login_throttle.network_of(other)) is same


@pytest.mark.parametrize("seconds", [0, -1, login_throttle.LONGEST + 1])
def test_an_allowance_is_not_for_longer_than_counts_are_kept(seconds: int) -> None:
    with pytest.raises(ValueError, match="seconds"):
        AttemptLimit(purpose="p", who="w", most=1, seconds=seconds)
