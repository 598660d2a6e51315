"""V1's jobs in the store: what they look like, whom they tell, and what becomes of a callback that nobody takes."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.job import Event, Reason, State
from sottovoce.service.email import smtp
from sottovoce.service.email.smtp import Mail
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.results import UNREADABLE
from sottovoce.service.jobs.v1_view import V1ViewBuilder
from sottovoce.service.notifications import model
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import Kind
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.encryption import Encryptor, new_key
from sottovoce.wire.v1 import form, responses
from sottovoce.wire.v1.form import LegacyRequest, Notify
from sottovoce.wire.v2.job import job_object
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
    return V1ViewBuilder(region.encryptor, region.results, region.large_work).view(
        replace(region.job(), **changes), user_id=7
    )


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


def test_a_job_that_wants_no_notice_has_none(region: Region) -> None:
    accept(region, replace(WANTED, notification=Notify.NONE))
    assert region.outbox().envelopes(region.job()) == ()


def without_a_notice(region: Region, outbox: Outbox) -> model.Delivery:
    """The delivery of a notice that cannot be sent, which the job's log mentions; nothing was queued."""
    pending = outbox.envelopes(region.job())
    with region.database.writing() as connection:
        outbox.post(connection, ID, pending)
    (told,) = region.told()
    assert (told.kind, told.state, told.attempts, told.next_at) == (Kind.MAIL, model.State.FAILED, 0, None)
    assert told.ended_at
    with region.database.reading() as connection:
        line = repository.log_lines(connection, ID)[-1]
    assert (line.stage, line.level, line.text) == ("mail", "WARNING", f"not sent: {told.outcome}")
    assert region.queue.sent == []
    return told


@pytest.mark.parametrize("email", [None, ""])
def test_a_notice_without_an_address_is_told(region: Region, email: str | None) -> None:
    accept(region, replace(WANTED, email=email))
    told = without_a_notice(region, region.outbox())
    assert told.outcome == smtp.NO_ADDRESS

    async def send(outbound: Any) -> None:
        policy = SendPolicy(smtp=smtp.Smtp(host="127.0.0.1", port=9, sender="a@example.org"))
        await region.sender(outbound, policy).attempt(told.id, 1)

    with region.database.writing() as connection:  # an operator tries again after the job's end
        connection.execute(sa.update(t.jobs).values(state=State.DONE.value))
        assert deliveries.retry(connection, told.id, SendPolicy().tries)
    going_out(send)
    (again,) = region.told()
    assert (again.state, again.outcome) == (model.State.FAILED, smtp.NO_ADDRESS)


def test_a_notice_without_a_mail_server_is_told(region: Region) -> None:
    accept(region)
    told = without_a_notice(region, Outbox(region.encryptor, region.queue, SendPolicy().tries, mails=False))
    assert told.outcome == smtp.NOT_CONFIGURED
    assert model.mail_of(region.encryptor, told.target).to == "ada@example.org"


def test_a_failed_callback_without_an_address_is_told(region: Region) -> None:
    _, told = called(region, 500, email=None)
    outcomes = {each.kind: (each.state, each.outcome) for each in told}
    assert outcomes[Kind.MAIL] == (model.State.FAILED, smtp.NO_ADDRESS)


def test_what_no_key_decrypts_costs_only_its_echo(region: Region) -> None:
    region.accept(CONFIG)
    asyncio.run(region.end())
    sealed = Encryptor([new_key()]).encrypt(b"{}")
    for job in (replace(region.job(), config=sealed), replace(region.job(), config=sealed, whole_errors=sealed)):
        shown = job_object(region.results.view(job))
        assert "config" not in shown
        assert [error["message"] for error in shown["errors"]] == [UNREADABLE]
        for form_ in ("txt", "srt"):
            assert b"hello world." in asyncio.run(region.results.rendered(job, form_))
        assert json.loads(asyncio.run(region.results.rendered(job, "json-v2")))["results"]
    old = V1ViewBuilder(region.encryptor, region.results, region.large_work).view(
        replace(region.job(), legacy=sealed), user_id=7
    )
    assert (old.lang, old.notification) == ("en", "none")


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


def called(region: Region, *statuses: int, email: str | None = WANTED.email) -> tuple[list[Any], list[model.Delivery]]:
    """What a receiver heard, and every delivery after all attempts."""
    with listening(Receiver(*statuses)) as there:
        accept(region, replace(WANTED, notification=Notify.CALLBACK, callback=f"{there.url}/hook?a=b", email=email))
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
    mail = model.mail_of(region.encryptor, next(each.target for each in told if each.kind == Kind.MAIL))
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
