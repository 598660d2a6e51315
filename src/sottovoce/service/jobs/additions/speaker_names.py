"""The names of the speakers of a job, encrypted in its row: a tombstone has none, and backups and key rotation include them."""

import logging

import sqlalchemy as sa

from sottovoce.job import State
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Connection, Database
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.transcript.speaker_names import SpeakerNames
from sottovoce.wire.v2.speaker_names import dump, load

_log = logging.getLogger(__name__)


class SpeakerNameStore:
    """Reads and writes the names of the jobs of a region."""

    def __init__(self, database: Database, encryptor: Encryptor) -> None:
        self._database = database
        self._encryptor = encryptor

    async def get(self, job_id: str) -> SpeakerNames:
        """The names of *job_id*: none if it has none, or if no key decrypts them."""

        def read(connection: Connection) -> SpeakerNames:
            stored = connection.scalar(sa.select(t.jobs.c.speaker_names).where(t.jobs.c.id == job_id))
            if stored is None:
                return SpeakerNames()
            try:
                return load(self._encryptor.decrypt(stored))
            except ValueError as error:  # the transcript is there, with its labels
                _log.warning("speaker names of a job cannot be read", extra={"job": job_id, "why": str(error)})
                return SpeakerNames()

        return await self._database.read(read)

    async def put(self, job_id: str, names: SpeakerNames) -> bool:
        """Replace the names of *job_id*. False if it is not done, or was removed meanwhile."""

        def write(connection: Connection) -> bool:
            value = self._encryptor.encrypt(dump(names)) if names else None
            done = (t.jobs.c.id == job_id, t.jobs.c.state == State.DONE)
            return connection.execute(sa.update(t.jobs).where(*done).values(speaker_names=value)).rowcount == 1

        return await self._database.write(write)
