"""Builds the bodies of notifications and callbacks, and the attachments of mails, when they are sent."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sottovoce.errors import Refused
from sottovoce.job import JobType, State
from sottovoce.service.email.smtp import Attachment
from sottovoce.service.jobs.model import Job
from sottovoce.service.jobs.results import Results
from sottovoce.service.jobs.v1_view import V1ViewBuilder
from sottovoce.service.storage.blob_keys import media_key, text_key
from sottovoce.service.storage.blobs import Blobs, Missing
from sottovoce.wire.formats.alignment import ONE_PER_LINE, WORD_START_AND_END
from sottovoce.wire.formats.table import encoded
from sottovoce.wire.notifications import body as wire
from sottovoce.wire.notifications.body import Layout, Names, Output
from sottovoce.wire.v1 import notification_texts

_ALIGNMENTS: Mapping[str, str] = {Output.WORDS: WORD_START_AND_END, Output.LINES: ONE_PER_LINE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Content in the blob store, read when it is sent; *size* in bytes."""

    key: str
    size: int


Content = bytes | Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A body that can be sent repeatedly."""

    blobs: Blobs
    form: Layout
    contents: tuple[Content, ...]  # one for each part
    boundary: str

    @property
    def content_type(self) -> str | None:
        """The content type of the whole body; `None` if it is empty."""
        return wire.content_type(self.form, self.boundary)

    @property
    def length(self) -> int:
        """The length of the whole body in bytes."""
        sizes = [each.size if isinstance(each, Stored) else len(each) for each in self.contents]
        return wire.length(self.form, sizes, self.boundary)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in chunks, from its start. Raises `Missing` if a blob was removed since."""
        for part, content in zip(self.form.parts, self.contents, strict=True):
            if self.form.multipart:
                yield wire.opening(part, self.boundary)
            if isinstance(content, Stored):
                async for piece in self.blobs.stream(content.key):
                    yield piece
            else:
                yield content
            if self.form.multipart:
                yield wire.AFTER
        if self.form.multipart:
            yield wire.closing(self.boundary)


class PayloadBuilder:
    """Collects and renders the contents of a job."""

    def __init__(self, blobs: Blobs, results: Results, legacy: V1ViewBuilder) -> None:
        self._blobs = blobs
        self._results = results
        self._legacy = legacy

    async def pack(self, job: Job, contents: Sequence[str] | None, number: int) -> Payload:
        """The body for *contents* of entry *number* of the job's `notification_config` (contract §9.2)."""
        default = wire.TRANSCRIPT if job.type is JobType.TRANSCRIPTION else Output.WORDS
        requested = {default} if contents is None else {wire.CONTENTS[item] for item in contents}
        found = await self._collect(job, requested, number)
        form = wire.layout(contents, _names(job), frozenset(found), default)
        if any(part.output not in found for part in form.parts):
            found[Output.JOBINFO] = await self._jobinfo(job, number)
        return Payload(
            blobs=self._blobs,
            form=form,
            contents=tuple(found[part.output] for part in form.parts),
            boundary=secrets.token_hex(24),
        )

    async def pack_callback(self, job: Job) -> Payload:
        """The body of the V1 callback. Raises `Refused` if the job's result was removed."""
        aligns = job.type is JobType.ALIGNMENT
        if aligns:
            content = encoded(await self._results.aligned(job, WORD_START_AND_END))
        else:
            content = await self._legacy.transcript(job, "json", user_id=job.user_id or 0)
        named = job.text_name if aligns and job.text_name else job.data_name
        return Payload(
            blobs=self._blobs,
            form=notification_texts.callback_layout(name=named, aligns=aligns),
            contents=(content,),
            boundary=secrets.token_hex(24),
        )

    async def attachments(self, job: Job, contents: Sequence[str]) -> list[Attachment]:
        """Those of *contents* that the job has, as attachments in memory."""
        requested = {wire.CONTENTS[item] for item in contents}
        found = await self._collect(job, requested, None)
        names = _names(job)
        parts = [wire.part(item, wire.CONTENTS[item], names) for item in contents if wire.CONTENTS[item] in found]
        return [
            Attachment(
                filename=part.filename, content_type=part.content_type, content=await self._read(found[part.output])
            )
            for part in parts
        ]

    async def _read(self, content: Content) -> bytes:
        return await self._blobs.get(content.key) if isinstance(content, Stored) else content

    async def _collect(self, job: Job, requested: Iterable[str], number: int | None) -> dict[str, Content]:
        """Those of the *requested* outputs that the job has."""
        found: dict[str, Content] = {}
        wanted = {output: form for output in requested if (form := wire.transcript_format(output))}
        if wanted and job.state is State.DONE and job.type is JobType.TRANSCRIPTION:
            found |= await self._transcripts(job, wanted)
        for output in requested:
            if output in _ALIGNMENTS and job.state is State.DONE and job.type is JobType.ALIGNMENT:
                found |= await self._aligned(job, output)
        for output, key in ((Output.DATA, media_key(job.id)), (Output.TEXT, text_key(job.id))):
            if output in requested and (stored := await self._stored(key)):
                found[output] = stored
        if Output.JOBINFO in requested:
            found[Output.JOBINFO] = await self._jobinfo(job, number)
        return found

    async def _transcripts(self, job: Job, wanted: dict[str, str]) -> dict[str, Content]:
        try:
            renderings = await self._results.renderings(job, wanted.values())
        except Refused:  # the job was removed
            return {}
        return {output: renderings[form] for output, form in wanted.items()}

    async def _aligned(self, job: Job, output: str) -> dict[str, Content]:
        try:
            return {output: encoded(await self._results.aligned(job, _ALIGNMENTS[output]))}
        except Refused:  # the job was removed
            return {}

    async def _stored(self, key: str) -> Stored | None:
        try:
            return Stored(key=key, size=await self._blobs.size(key))
        except Missing:
            return None

    async def _jobinfo(self, job: Job, number: int | None) -> bytes:
        return await asyncio.to_thread(lambda: encoded(wire.jobinfo(self._results.view(job), number)))


def _names(job: Job) -> Names:
    return Names(job_id=job.id, data_name=job.data_name, text_name=job.text_name)
