"""Stores what the portal needs to play a job's media: peaks, and a copy for browsers. A job never fails because of it."""

import asyncio
import logging
from pathlib import Path

from sottovoce.errors import Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import PLAYBACK, Pool, Task
from sottovoce.job import JobType
from sottovoce.service.jobs.model import Job
from sottovoce.service.storage.blob_keys import peaks_key, playback_key
from sottovoce.service.storage.blobs import Blobs

_log = logging.getLogger(__name__)
_PIECE = 1 << 20


def is_wanted(job: Job) -> bool:
    """True if a person may look at *job*: it is a transcription, and not one that its request deletes at once."""
    return job.type is JobType.TRANSCRIPTION and job.api != "openai"


class PlaybackMaker:
    """Has the media of jobs prepared by a child process of their own: a long file must not keep an upload waiting."""

    def __init__(self, pool: Pool, blobs: Blobs) -> None:
        self._pool = pool
        self._blobs = blobs

    async def make(self, job: Job, media: Path, scratch: Path) -> None:
        """Prepare *media*, with a temporary file in the folder *scratch*. Raises nothing but a cancellation."""
        target = scratch / "playback.webm"
        try:
            await asyncio.to_thread(scratch.mkdir, parents=True, exist_ok=True)
            task = Task(message=m.PreparePlayback(path=str(media), target=str(target)))
            outcome = await self._pool.run(PLAYBACK, task, lambda _message, _payload: None)
            await self._blobs.put(peaks_key(job.id), outcome.payload)
            if await asyncio.to_thread(target.is_file):
                await self._store(target, playback_key(job.id))
        except Refused:
            return  # the media cannot be read: the job fails and says why
        except Exception as error:  # noqa: BLE001 - the transcript does not depend on it
            _log.warning("media not prepared for playback", extra={"why": str(error)[-500:]})
        finally:
            await asyncio.shield(asyncio.to_thread(_remove, target))

    async def _store(self, file: Path, key: str) -> None:
        writer = self._blobs.writer(key)
        try:
            with await asyncio.to_thread(file.open, "rb") as source:
                while piece := await asyncio.to_thread(source.read, _PIECE):
                    await writer.write(piece)
            await writer.close()
        except BaseException:
            await writer.abort()
            raise


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    try:
        file.parent.rmdir()
    except OSError:  # the copy of the media is there, or another attempt
        return
