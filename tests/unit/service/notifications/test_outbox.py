# ruff: noqa: PT012 - a transaction left by an error
import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sottovoce.job import Reason
from sottovoce.request import Notification
from sottovoce.service.email.smtp import Mail
from sottovoce.service.jobs import model, repository
from sottovoce.service.notifications import model as delivery_model
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import Kind, State, display_host
from sottovoce.service.notifications.send_policy import SendPolicy
from tests.unit.service.task_values import ID, Region, region_in

SECRETS: dict[str, Any] = {
    "url": "https://hooks.example:8443/hush-path?token=hush-query",
    "auth_headers": ["Authorization: Bearer hush-header"],
    "contents": ["jobinfo", "transcript"],
    "method": "put",
}
TRIES = SendPolicy().tries


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        yield made


def ended(region: Region, *entries: dict[str, Any], reason: Reason | None = None) -> list[delivery_model.Delivery]:
    async def go() -> list[delivery_model.Delivery]:
        await region.accept_media(*entries)
        return await region.end(reason)

    return asyncio.run(go())


def record(region: Region, delivery_id: str, attempt: int, state: State = State.WAITING) -> bool:
    with region.database.writing() as connection:
        return deliveries.record(connection, delivery_id, attempt, state=state, outcome="so", next_in=5.0)


def test_each_receiver_has_a_row_of_its_own_and_an_entry_in_the_queue(region: Region) -> None:
    told = ended(region, SECRETS, {"url": "http://two.example"})
    assert [each.number for each in told] == [0, 1]
    assert [each.place for each in told] == ["https://hooks.example:8443", "http://two.example"]
    assert {(each.job_id, each.kind, each.status, each.state, each.attempts, each.tries) for each in told} == {
        (ID, Kind.NOTIFICATION, "success", State.WAITING, 0, 4)
    }
    assert sorted(region.queue.sent) == sorted(("delivery", each.id, 1, 0.0) for each in told)
    assert all(len(each.id) == delivery_model.ID_LENGTH for each in told)


def test_what_is_sealed_comes_back_as_it_was(region: Region) -> None:
    (told,) = ended(region, SECRETS)
    assert delivery_model.notification_of(region.encryptor, told.target) == Notification(
        url=str(SECRETS["url"]),
        contents=("jobinfo", "transcript"),
        method="put",
        auth_headers=("Authorization: Bearer hush-header",),
    )
    mail = Mail(to="a@e.org", subject="s", body="b", attachments=("transcript.txt",))
    assert delivery_model.mail_of(region.encryptor, region.outbox().mailed(mail).target) == mail
    assert b"hush" not in region.everything()


def test_absent_contents_stay_absent(region: Region) -> None:
    (told,) = ended(region, {"url": "https://e.org"})
    assert delivery_model.notification_of(region.encryptor, told.target).contents is None


def test_a_job_without_receivers_has_no_deliveries(region: Region) -> None:
    assert ended(region) == []
    assert region.queue.sent == []


def test_a_rejected_job_is_posted_with_its_status(region: Region) -> None:
    (told,) = ended(region, SECRETS, reason=Reason.INVALID_AUDIO)
    assert told.status == "trim_error"


def test_a_job_that_did_not_end_is_not_posted(region: Region) -> None:
    """The worker lost the job: what it prepared is rolled back with everything else."""

    async def go() -> None:
        await region.accept_media(SECRETS)
        outbox = region.outbox()
        envelopes = await outbox.prepare(region.job())
        with pytest.raises(KeyError), region.database.writing() as connection:
            outbox.post(connection, ID, envelopes)
            raise KeyError

    asyncio.run(go())
    assert region.told() == []


def test_a_config_that_nobody_can_read_tells_nobody_and_breaks_nothing(region: Region) -> None:
    async def go() -> None:
        await region.accept_media(SECRETS)
        job = region.job()
        outbox = region.outbox()
        assert await outbox.prepare(replace(job, config=None)) == ()
        assert await outbox.prepare(replace(job, config=b"not sealed")) == ()
        assert await outbox.prepare(replace(job, config=region.encryptor.encrypt(b"{}"))) == ()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://user:hush@e.org/hush?hush#hush", "https://e.org"),
        ("http://e.org:8080", "http://e.org:8080"),
        ("http://[::1]:80/x", "http://[::1]:80"),
    ],
)
def test_a_place_tells_no_secret(url: str, place: str) -> None:
    assert display_host(url) == place


def test_attempts_are_recorded_in_order_and_once(region: Region) -> None:
    (told,) = ended(region, SECRETS)
    assert not record(region, told.id, 2)
    assert record(region, told.id, 1)
    assert not record(region, told.id, 1)
    assert record(region, told.id, 2, State.DELIVERED)
    assert not record(region, told.id, 3)
    (told,) = region.told()
    assert (told.attempts, told.state, told.outcome) == (2, State.DELIVERED, "so")
    assert told.ended_at is not None


def test_only_what_failed_can_be_tried_again_with_all_its_tries(region: Region) -> None:
    (told,) = ended(region, SECRETS)
    with region.database.writing() as connection:
        assert deliveries.retry(connection, told.id, TRIES) is None
        assert deliveries.retry(connection, "no such delivery", TRIES) is None
    assert record(region, told.id, 1, State.FAILED)
    with region.database.writing() as connection:
        again = deliveries.retry(connection, told.id, TRIES)
    assert again is not None
    assert (again.state, again.attempts, again.tries, again.ended_at) == (State.WAITING, 1, 5, None)
    assert again.next_entry == f"{told.id}-delivery-2"


def test_what_is_to_be_stopped_is_named(region: Region) -> None:
    one, two = ended(region, SECRETS, SECRETS)
    assert record(region, one.id, 1)
    assert record(region, two.id, 1, State.FAILED)
    with region.database.reading() as connection:
        assert deliveries.entries(connection, ID) == [f"{one.id}-delivery-2"]


def test_removing_a_job_removes_its_deliveries(region: Region) -> None:
    ended(region, SECRETS)
    region.remove()
    assert region.told() == []


def test_listing_knows_jobs_and_states(region: Region) -> None:
    one, two = ended(region, SECRETS, SECRETS)
    assert record(region, one.id, 1, State.FAILED)
    with region.database.reading() as connection:
        assert [each.id for each in deliveries.listing(connection, state=State.FAILED)] == [one.id]
        assert {each.id for each in deliveries.listing(connection, job_id=ID)} == {one.id, two.id}
        assert deliveries.listing(connection, job_id="another") == []
        assert len(deliveries.listing(connection, limit=1)) == 1


def test_overdue_is_what_should_have_been_recorded_by_now(region: Region) -> None:
    (told,) = ended(region, SECRETS)
    with region.database.reading() as connection:
        assert deliveries.overdue(connection, 60_000, 10) == []
        assert [each.id for each in deliveries.overdue(connection, -1000, 10)] == [told.id]


@pytest.mark.parametrize(("left", "pause"), [(3, 15.0), (2, 20.0), (1, 30.0), (9, 15.0)])
def test_pauses_are_counted_from_the_end(left: int, pause: float) -> None:
    assert SendPolicy().pause(Kind.NOTIFICATION, left) == pause
    assert SendPolicy(pauses=()).pause(Kind.NOTIFICATION, left) == 0.0


def test_errors_keep_what_only_the_owner_may_see_sealed(region: Region) -> None:
    ended(region, SECRETS)

    def add(*messages: model.Message) -> None:
        with region.database.writing() as connection:
            repository.add_errors(connection, region.encryptor, ID, messages)

    add(
        model.Message(public_text="plain"),
        model.Message(public_text="at https://e.org", whole="at https://e.org/hush"),
    )
    add(model.Message(public_text="again", whole="again hush"))
    assert [error.message for error in region.job().errors] == ["plain", "at https://e.org", "again"]
    assert region.errors() == ["plain", "at https://e.org/hush", "again hush"]
    assert b"hush" not in region.everything()
    region.remove()
    add(model.Message(public_text="late"))
    assert region.job().errors == ()
    assert region.job().whole_errors is None
