"""What a running job has recognised so far, for clients that read along.

The worker stores each stretch as a blob beside the windows (`worker/job_runner.py`), so that any API process of the region can read
it, from a folder or from S3. The blobs are deleted with the job's other intermediate blobs when it ends.
"""

from dataclasses import dataclass

from sottovoce.inference import messages as m
from sottovoce.service.storage.blob_keys import progress_prefix
from sottovoce.service.storage.blobs import Blobs, Missing
from sottovoce.transcript import codec
from sottovoce.transcript.model import Item, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Formatted *items* from *start* to *end* of the media, in *language*."""

    start: Samples
    end: Samples
    language: str
    items: tuple[Item, ...]


class ProgressReader:
    """Reads the stretches of one job, each once, in the order of the media."""

    def __init__(self, blobs: Blobs, job_id: str) -> None:
        self._blobs = blobs
        self._job_id = job_id
        self._last: str | None = None
        self.end: Samples = 0

    async def more(self) -> list[Stretch]:
        """The stretches that were stored since the last call.

        A stretch that begins before the end of those read before is left out: another attempt has repeated some of the work.
        """
        found: list[Stretch] = []
        for key in await self._blobs.keys_after(progress_prefix(self._job_id), self._last):
            try:
                stored = await self._blobs.get(key)
            except Missing:  # the job has just ended
                break
            self._last = key
            stretch = _decoded(stored)
            if stretch is not None and stretch.start >= self.end:
                self.end = stretch.end
                found.append(stretch)
        return found


def _decoded(frame: bytes) -> Stretch | None:
    """The stretch in *frame*; None if another release wrote it in another form."""
    try:
        header, payload = m.lengths(frame[: m.PREFIX])
        message = m.decode(frame[m.PREFIX : m.PREFIX + header])
        items = codec.load_items(frame[m.PREFIX + header : m.PREFIX + header + payload])
    except ValueError:
        return None
    if not isinstance(message, m.StretchDone):
        return None
    return Stretch(start=message.start, end=message.end, language=message.language, items=items)
