"""Views of jobs for V1, of jobs of both APIs: from the row, the stored V1 request and the stored transcript."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa

from sottovoce.errors import Refused
from sottovoce.job import JobType
from sottovoce.request import TranscriptionRequest
from sottovoce.service.identity.api_keys import Caller
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.results import Results
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.transcript import codec
from sottovoce.wire.v1 import responses
from sottovoce.wire.v1.form import MAX_META, LegacyRequest, Notify, load
from sottovoce.wire.v1.responses import LegacyView
from sottovoce.wire.v2.config import parse_job_config

T = TypeVar("T")
Look = Callable[[sa.Connection], T]
PAGE = 500
"""Job ids in one SELECT."""
RENDER = {"json": responses.transcript_object, "txt": responses.transcript_text}
"""Renderers by `format`."""


class V1ViewBuilder:
    """Builds V1 views of stored jobs."""

    def __init__(self, encryptor: Encryptor, results: Results) -> None:
        self._encryptor = encryptor
        self._results = results

    def view(self, job: Job, *, user_id: int, check_wait: int = 0) -> LegacyView:
        """The V1 view of *job* for the user *user_id*. *check_wait*: seconds until the client should check again."""
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
        config = self._results.view(job).config
        if not isinstance(config, dict):
            return LegacyRequest(model=job.language, notification=Notify.NONE)  # a tombstone has no config
        try:
            parsed = parse_job_config(orjson.dumps(config))
        except Refused:  # an older release accepted this config
            return LegacyRequest(model=job.language, notification=Notify.NONE)
        locale = parsed.output_locale if isinstance(parsed, TranscriptionRequest) else None
        details = (config.get("tracking") or {}).get("details")
        meta = details.get("meta") if isinstance(details, dict) else None
        return LegacyRequest(
            model=locale or parsed.language,
            notification=Notify.CALLBACK if parsed.notifications else Notify.NONE,
            meta=meta if isinstance(meta, str) and len(meta) <= MAX_META else None,
        )

    async def transcript(self, job: Job, form: str, *, user_id: int) -> Any:
        """The transcript in *form*, one of `RENDER`. Raises `Refused` if there is none."""
        stored = await self._results.stored(job)
        return await asyncio.to_thread(lambda: RENDER[form](codec.decode(stored), self.view(job, user_id=user_id)))


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
