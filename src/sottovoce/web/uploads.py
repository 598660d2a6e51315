"""Reads a multipart body as a stream: small fields into memory with a limit, files directly into blobs.

`request.form()` would write the media twice (research/queue.md §6); this module needs a few hundred kilobytes of memory for any
size. In order: the received form, its limits and errors, the request headers, and the reader of the parser's events.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from sottovoce.errors import Kind, Refused
from sottovoce.service.jobs.alignment_text import SubmittedText
from sottovoce.service.storage.blobs import Blobs, BlobWriter

RETENTION = "Retention-Seconds"
MAX_FIELD = 4 << 20
"""Bytes of one field."""
MAX_PARTS = 32
MAX_NAME = 255
"""Characters of a file name."""
OVERHEAD = MAX_FIELD + (1 << 20)
"""Bytes of a body besides its media."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A file part, stored in the blob *key*. *name* is the client's file name without folders, at most 255 characters.

    *digest* is the SHA-256 of the bytes, in hexadecimal.
    """

    key: str
    name: str
    size: int
    digest: str


@dataclass(slots=True)
class Form:
    """The parts of a body: *fields* by name, *files* by name, and in *lists* the values of fields that may be repeated."""

    fields: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, Received] = field(default_factory=dict)
    lists: dict[str, list[bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Largest file in bytes, seconds for the whole body, and most parts."""

    file: int
    seconds: float
    parts: int = MAX_PARTS


async def receive(
    request: Request, blobs: Blobs, places: Mapping[str, str], limits: Limits, repeatable: Collection[str] = ()
) -> Form:
    """The form in *request*. *places* maps the names of file parts to their blob keys; all other parts are small fields.

    Fields named in *repeatable* may be sent several times, every other part once.
    Raises `Refused` for a malformed, oversized or interrupted body, and deletes the blobs that were written.
    """
    boundary = _boundary(request)
    announced(request, limits)
    reader = _Reader(blobs, places, limits, repeatable)
    try:
        async with asyncio.timeout(limits.seconds):
            await reader.read(boundary, request.stream())
    except BaseException as error:
        await reader.abort()
        raise _refusal(error) from error
    return reader.form


def _refusal(error: BaseException) -> BaseException:
    match error:
        case TimeoutError():
            return Refused(Kind.REQUEST_TIMEOUT, "the body did not arrive in time")
        case ClientDisconnect():
            return Refused(Kind.MALFORMED, "the client disconnected before the end of the body")
        case ParserLimitReached():
            return Refused(Kind.MALFORMED, f"too many or too large parts: {error.args[0]}")
        case MultipartError():
            # only the first argument: the others may be exceptions, whose text quotes the body
            return Refused(Kind.MALFORMED, f"not a valid multipart body: {error.args[0]}")
        case _:
            return error


def _boundary(request: Request) -> str:
    content_type = request.headers.get("content-type", "")
    media_type, options = parse_options_header(content_type)
    if media_type != "multipart/form-data":
        raise Refused(Kind.MALFORMED, "the body must be multipart/form-data")
    if not (boundary := options.get("boundary")) or len(boundary) > 200 or not boundary.isascii():  # noqa: PLR2004 - RFC 2046 says 70
        raise Refused(Kind.MALFORMED, "the multipart boundary is missing or unusable")
    return str(boundary)


def announced(request: Request, limits: Limits) -> int:
    """The body's `Content-Length` in bytes; 0 without one. Raises `Refused` when it exceeds every limit."""
    text = request.headers.get("content-length", "0")
    size = int(text) if text.isdecimal() and text.isascii() else 0
    if size > limits.file + OVERHEAD:
        raise too_large(limits.file)
    return size


def kept(request: Request) -> int | None:
    """The retention of the job after its end, in ms, from our header `Retention-Seconds`; 0 means until it was delivered.

    `None` without the header. Raises `Refused`.
    """
    text = request.headers.get(RETENTION)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):  # noqa: PLR2004 - three centuries
        raise Refused(Kind.BAD_REQUEST, "must be a whole number of seconds", at=RETENTION)
    return int(text) * 1000


def submitted_text(received: Received) -> SubmittedText:
    """*received* as the service expects it."""
    return SubmittedText(key=received.key, name=received.name, size=received.size, digest=received.digest)


def too_large(limit: int) -> Refused:
    """The error for a file of more than *limit* bytes."""
    return Refused(
        Kind.TOO_LARGE, f"the file is larger than the {limit} bytes that this server accepts", at="data_file"
    )


def clean_name(name: str) -> str:
    """*name* for display: without folders and control characters, at most 255 characters."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in base if c.isprintable() and not 0xD800 <= ord(c) < 0xE000)[:MAX_NAME]  # noqa: PLR2004 - surrogates


class _Reader:
    """Handles the events of the multipart parser and fills *form*."""

    def __init__(
        self, blobs: Blobs, places: Mapping[str, str], limits: Limits, repeatable: Collection[str] = ()
    ) -> None:
        self.form = Form()
        self._repeatable = repeatable
        self._blobs = blobs
        self._places = places
        self._limits = limits
        self._part: MultipartSegment | None = None
        self._writer: BlobWriter | None = None
        self._digest = hashlib.sha256()
        self._field = bytearray()
        self._held = 0
        self._closed: list[str] = []

    async def read(self, boundary: str, chunks: AsyncIterator[bytes]) -> None:
        with PushMultipartParser(boundary, max_header_count=16, max_segment_count=self._limits.parts) as parser:
            async for chunk in chunks:
                if chunk:
                    for event in parser.parse(chunk):
                        await self._take(event)

    async def _take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            await self._end()
        elif self._writer:
            if self._writer.size + len(event) > self._limits.file:
                raise too_large(self._limits.file)
            self._digest.update(event)
            await self._writer.write(event)
        else:
            self._append(event)

    def _append(self, data: bytes | bytearray) -> None:
        """Append *data* to the small field; the fields share one limit, since they are in memory."""
        self._held += len(data)
        if len(self._field) + len(data) > MAX_FIELD:
            raise Refused(Kind.MALFORMED, f"larger than {MAX_FIELD} bytes", at=self._name)
        if self._held > OVERHEAD:
            raise Refused(Kind.MALFORMED, f"the parts besides the media are larger than {OVERHEAD} bytes")
        self._field += data

    @property
    def _name(self) -> str:
        return (self._part.name or "" if self._part else "")[:64]

    def _begin(self, part: MultipartSegment) -> None:
        self._part = part
        self._field = bytearray()
        name = part.name or ""
        if name in self.form.fields or name in self.form.files:
            raise Refused(Kind.MALFORMED, "given twice", at=self._name)
        if name in self._places:
            self._writer = self._blobs.writer(self._places[name])
            self._digest = hashlib.sha256()

    async def _end(self) -> None:
        name = (self._part.name or "") if self._part else ""
        if self._writer and self._part:
            writer, self._writer = self._writer, None
            self._closed.append(self._places[name])
            await writer.close()
            shown = clean_name(self._part.filename or "")
            digest = self._digest.hexdigest()
            self.form.files[name] = Received(key=self._places[name], name=shown, size=writer.size, digest=digest)
        elif name in self._repeatable:
            self.form.lists.setdefault(name, []).append(bytes(self._field))
        else:
            self.form.fields[name] = bytes(self._field)

    async def abort(self) -> None:
        """Delete every blob that was written."""
        if self._writer:
            await self._writer.abort()
        for key in self._closed:
            await self._blobs.delete(key)
