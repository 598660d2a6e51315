"""V1's jobs in the store: what they look like, whom they tell, and what becomes of a callback that nobody takes."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sottovoce.job import Event, Reason, State
from sottovoce.service.email.smtp import Mail
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.v1_view import V1ViewBuilder
from sottovoce.service.notifications import model
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import Kind
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.wire.v1 import form, responses
from sottovoce.wire.v1.form import LegacyRequest, Notify
from tests.listeners import Reply, listening
from tests.unit.service.task_values import CONFIG, ID, Region, going_out, region_in

WANTED = LegacyRequest(model="en-GB", notification=Notify.EMAIL, email="ada@example.org", meta="x", diarisation=False)


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        yield made


def accept(region: Region, wanted: LegacyRequest = WANTED) -> None:
    region.accept(CONFIG, api="v1", legacy=region.encryptor.encrypt(form.dump(wanted)))


def view(region: Region, **changes: Any) -> responses.LegacyView:
    return V1ViewBuilder(region.encryptor, region.results).view(replace(region.job(), **changes), user_id=7)


def test_a_job_of_v1_is_shown_as_it_was_asked_for(region: Region) -> None:
    accept(region)
    public_text = view(region)
    assert (public_text.lang, public_text.meta, public_text.notification, public_text.diarisation) == (
        "en-GB",
        "x",
        "email",
        False,
    )
    assert (public_text.user_id, public_text.number) == (7, region.job().v1_id)


@pytest.mark.parametrize(
    ("more", "lang", "meta", "notification"),
    [
        ({}, "en", None, "none"),
        ({"transcription_config": {"language": "en", "output_locale": "en-US"}}, "en-US", None, "none"),
        ({"tracking": {"details": {"meta": "m"}}}, "en", "m", "none"),
        ({"tracking": {"details": {"meta": 5}}}, "en", None, "none"),
        ({"tracking": {"details": {"meta": "m" * 1025}}}, "en", None, "none"),
        ({"tracking": {"title": "t"}}, "en", None, "none"),
        ({"notification_config": [{"url": "https://e.org"}]}, "en", None, "callback"),
    ],
)
def test_a_job_of_v2_is_shown_as_its_config_has_it(
    region: Region, more: dict[str, Any], lang: str, meta: str | None, notification: str
) -> None:
    region.accept({**CONFIG, **more})
    public_text = view(region)
    assert (public_text.lang, public_text.meta, public_text.notification) == (lang, meta, notification)


def test_a_tombstone_keeps_no_name_and_no_meta(region: Region) -> None:
    accept(region)
    with region.database.writing() as connection:
        assert repository.make_tombstone(connection, ID, Event.EXPIRED_BY_RETENTION)
    public_text = responses.job_object(view(region), 0)
    assert (public_text["job_status"], public_text["name"], public_text["meta"], public_text["lang"]) == (
        "expired",
        "",
        None,
        "en",
    )
    assert b"ada@example.org" not in region.everything()


def test_what_v1_keeps_is_sealed(region: Region) -> None:
    accept(region)
    assert b"ada@example.org" not in region.everything()


@pytest.mark.parametrize("reason", [None, Reason.INVALID_AUDIO, Reason.ENGINE])
def test_the_owner_gets_a_mail_however_it_ended(region: Region, reason: Reason | None) -> None:
    accept(region)
    (envelope,) = region.outbox().envelopes(region.job(), reason)
    mail = model.mail_of(region.encryptor, envelope.target)
    assert mail.to == "ada@example.org"
    assert responses.ended_as(reason) in mail.subject


@pytest.mark.parametrize(
    "wanted",
    [replace(WANTED, notification=Notify.NONE), replace(WANTED, email=None), replace(WANTED, email="")],
)
def test_nobody_is_told_who_wants_nothing_or_cannot_be_reached(region: Region, wanted: LegacyRequest) -> None:
    accept(region, wanted)
    assert region.outbox().envelopes(region.job()) == ()


def test_without_a_mail_server_nobody_is_mailed(region: Region) -> None:
    accept(region)
    outbox = Outbox(region.encryptor, region.queue, SendPolicy().tries, mails=False)
    assert outbox.envelopes(region.job()) == ()


@pytest.mark.parametrize("stored", [b"{}", b"none", b'{"notification": "email"}'])
def test_what_nobody_can_read_holds_no_job_up(region: Region, stored: bytes) -> None:
    region.accept(CONFIG, legacy=region.encryptor.encrypt(stored))
    assert region.outbox().envelopes(region.job()) == ()


def test_what_was_sealed_by_a_lost_key_holds_no_job_up(region: Region) -> None:
    region.accept(CONFIG, legacy=b"of another installation")
    assert region.outbox().envelopes(region.job()) == ()


def test_a_failed_job_is_mailed_not_called(region: Region) -> None:
    accept(region, replace(WANTED, notification=Notify.CALLBACK, callback="https://e.org/x"))
    kinds = [[each.kind for each in region.outbox().envelopes(region.job(), why)] for why in (None, Reason.ENGINE)]
    assert kinds == [[Kind.CALLBACK], [Kind.MAIL]]


class Receiver:
    """Answers with one status after the other, the last for ever."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = statuses

    def __call__(self, _asked: object, number: int) -> Reply:
        return Reply(status=self._statuses[min(number, len(self._statuses)) - 1])


def called(region: Region, *statuses: int) -> tuple[list[Any], list[model.Delivery]]:
    """What a receiver heard, and every delivery after all attempts."""
    with listening(Receiver(*statuses)) as there:
        accept(region, replace(WANTED, notification=Notify.CALLBACK, callback=f"{there.url}/hook?a=b"))
        (posted,) = asyncio.run(region.end())

        async def send(outbound: Any) -> None:
            sender = region.sender(outbound, SendPolicy(callback_timeouts=(2.0, 2.0, 2.0)))
            for number in (1, 2, 3):
                await sender.attempt(posted.id, number)

        going_out(send, "127.0.0.1")
        return there.heard, region.told()


def test_a_callback_is_a_form_with_the_transcript(region: Region) -> None:
    (asked,), (delivery,) = called(region, 200)
    assert (asked.method, asked.query) == ("POST", {"a": "b", "id": str(region.job().v1_id)})
    body = json.loads(asked.body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0])
    assert [word["name"] for word in body["words"]] == ["hello", "world", "."]
    assert (delivery.kind, delivery.state, delivery.attempts) == (Kind.CALLBACK, model.State.DELIVERED, 1)


def test_a_callback_that_is_taken_at_last_is_not_complained_of(region: Region) -> None:
    heard, (delivery,) = called(region, 500, 500, 204)
    assert (len(heard), delivery.state) == (3, model.State.DELIVERED)


def test_a_callback_that_nobody_takes_ends_in_a_mail(region: Region) -> None:
    heard, told = called(region, 500, 500, 418)
    assert len(heard) == 3
    states = {each.kind: each.state for each in told}
    assert states == {Kind.CALLBACK: model.State.FAILED, Kind.MAIL: model.State.WAITING}
    mail = model.mail_of(region.encryptor, next(each.target for each in told if each.kind is Kind.MAIL))
    assert mail.to == "ada@example.org"
    assert "Response status: 418" in mail.body
    assert region.job().state is State.DONE
    assert region.errors() == []  # V1 has no list of errors


def test_each_attempt_has_its_own_time() -> None:
    policy = SendPolicy()
    assert [policy.callback_timeout(left) for left in (3, 2, 1)] == [10.0, 20.0, 30.0]
    assert policy.callback_timeout(7) == 10.0  # tries that an operator added


def test_a_mail_about_an_account_needs_no_job(region: Region) -> None:
    letter = Mail(to="ada@example.org", subject="s", body="b")
    with region.database.writing() as connection:
        region.outbox().enqueue_mail(connection, letter)
    (delivery,) = region.told()
    assert (delivery.job_id, delivery.kind) == (None, Kind.MAIL)
    assert model.mail_of(region.encryptor, delivery.target) == letter

    async def send(outbound: Any) -> None:
        await region.sender(outbound).attempt(delivery.id, 1)  # no mail server: given up at once

    going_out(send)
    (delivery,) = region.told()
    assert delivery.state is model.State.FAILED
    with region.database.writing() as connection:
        assert deliveries.forget(connection, 60_000) == 0  # it has just ended
        assert deliveries.forget(connection, -1000) == 1
