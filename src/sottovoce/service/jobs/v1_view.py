"""Views of jobs for V1, of jobs of both APIs: from the row, the stored V1 request and the stored transcript."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from sottovoce.job import JobType
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.results import Results
from sottovoce.service.large_work import LargeWork
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.transcript import codec
from sottovoce.wire.formats.table import encoded
from sottovoce.wire.v1 import responses
from sottovoce.wire.v1.form import LegacyRequest, Notify, from_v2, load
from sottovoce.wire.v1.responses import LegacyView

T = TypeVar("T")
Look = Callable[[sa.Connection], T]
PAGE = 500
"""Job ids in one SELECT."""
RENDER = {"json": responses.transcript_object, "txt": responses.transcript_text}
"""Renderers by `format`."""


class V1ViewBuilder:
    """Builds V1 views of stored jobs."""

    def __init__(self, encryptor: Encryptor, results: Results, large_work: LargeWork) -> None:
        self._encryptor = encryptor
        self._results = results
        self._large_work = large_work

    async def shown(self, job: Job, *, user_id: int, check_wait: int = 0) -> LegacyView:
        """Like `view`, for a job that need not be whole."""
        whole = await self._results.whole(job)
        return await self._large_work.run_sized(
            whole.config_bytes, lambda: self.view(whole, user_id=user_id, check_wait=check_wait)
        )

    def view(self, job: Job, *, user_id: int, check_wait: int = 0) -> LegacyView:
        """The V1 view of *job*, which is whole, for the user *user_id*. *check_wait*: seconds until the client's next check."""
        wanted = self._request(job)
        return LegacyView(
            number=job.v1_id,
            user_id=user_id,
            type=job.type,
            state=job.state,
            reason=job.reason,
            lang=wanted.model,
            name=job.data_name,
            text_name=job.text_name if job.type is JobType.ALIGNMENT else None,
            duration_ms=job.duration_ms,
            created_at=job.created_at,
            notification=wanted.notification.value,
            meta=wanted.meta,
            diarisation=wanted.diarisation,
            check_wait=check_wait,
        )

    def _request(self, job: Job) -> LegacyRequest:
        """The V1 request of *job*: the stored one, else the equivalent of its V2 config (contract §7)."""
        if job.legacy is not None:
            try:
                return load(self._encryptor.decrypt(job.legacy))
            except ValueError:  # no key decrypts it: only what the row says is shown
                return LegacyRequest(model=job.language, notification=Notify.NONE)
        text = self._results.text_of(job)
        if text is None:  # a tombstone has no config
            return LegacyRequest(model=job.language, notification=Notify.NONE)
        return self._large_work.apart(len(text), from_v2, text, job.language)

    async def transcript(self, job: Job, form: str, *, user_id: int) -> bytes:
        """The transcript in *form*, one of `RENDER`, encoded. Raises `Refused` if there is none, `ResultLost` if it is lost."""
        stored, whole = await self._results.stored(job), await self._results.whole(job)

        def render() -> bytes:
            transcript = self._results.decoded(job, stored, codec.decode)
            return encoded(RENDER[form](transcript, self.view(whole, user_id=user_id)))

        return await self._large_work.run(render)


def email_of(connection: sa.Connection, user_id: int) -> str | None:
    """The email address of the user *user_id*."""
    row = connection.execute(sa.select(t.users.c.email).where(t.users.c.id == user_id)).first()
    return row.email if row else None


def names(connection: sa.Connection, caller: Caller, ids: Sequence[str]) -> dict[str, responses.Payment]:
    """Payments without amounts for the jobs *ids*: each has the media's name, empty if *caller* may not see the job."""
    found: dict[str, responses.Payment] = {}
    for first in range(0, len(ids), PAGE):
        for job in repository.get_many(connection, ids[first : first + PAGE]).values():
            name = job.data_name if repository.may_see(caller, job) else ""
            found[job.id] = responses.Payment(amount=0, at=0, kind="", name=name, type=job.type)
    return found
