"""Validation of the texts that callers submit for alignment."""

import asyncio
import re
from dataclasses import dataclass
from itertools import islice

from sottovoce.errors import Kind, Refused
from sottovoce.service.storage.blobs import Blobs
from sottovoce.transcript import marked_text

MAX_BYTES = 16 << 20
"""Bytes of one text: more than four times the size of the Bible."""
MAX_WORDS = 1_000_000
"""Words of one text: more than the Bible has. Each word takes at least 100 bytes of memory during alignment."""

_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedText:
    """A text stored under the blob key *key*; *digest* is the SHA-256 of its *size* bytes."""

    key: str
    name: str
    size: int
    digest: str


async def read(blobs: Blobs, text: SubmittedText) -> str:
    """The text from the blob store, checked. Raises `Refused(INVALID_TEXT)`."""
    if text.size > MAX_BYTES:
        raise _too_large()
    data = await blobs.get(text.key)
    return await asyncio.to_thread(checked, data)


def _too_large() -> Refused:
    return Refused(Kind.INVALID_TEXT, f"larger than {MAX_BYTES} bytes", at="text_file")


def checked(data: bytes) -> str:
    """Decode *data*. Raises `Refused(INVALID_TEXT)` unless it is plain UTF-8 that has 1 to `MAX_WORDS` words."""
    if len(data) > MAX_BYTES:
        raise _too_large()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Refused(Kind.INVALID_TEXT, f"not UTF-8: byte {error.start}", at="text_file") from error
    if found := _NOT_TEXT.search(text):
        raise Refused(Kind.INVALID_TEXT, f"not plain text: a control character at {found.start()}", at="text_file")
    count = sum(1 for _ in islice(marked_text.words(text), MAX_WORDS + 1))
    if not count:
        raise Refused(Kind.INVALID_TEXT, "contains no words", at="text_file")
    if count > MAX_WORDS:
        raise Refused(Kind.INVALID_TEXT, f"more than {MAX_WORDS} words", at="text_file")
    return text
