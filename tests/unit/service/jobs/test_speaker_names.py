"""Where the names of speakers are stored, and when they are gone."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from sottovoce.job import Event
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.additions.speaker_names import SpeakerNameStore
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.service.storage.key_check import SEALED
from sottovoce.transcript.speaker_names import SpeakerNames
from tests.unit.service.task_values import ID, Region, region_in

NAMES = SpeakerNames(speakers={"S1": "Anna"}, channels={"left": "Bert"})


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        made.accept({"type": "transcription"})
        yield made


def end(region: Region) -> None:
    asyncio.run(region.end(envelopes=()))


def stored(region: Region) -> bytes | None:
    with region.database.reading() as connection:
        return connection.scalar(sa.select(t.jobs.c.speaker_names).where(t.jobs.c.id == ID))


def test_names_are_stored_encrypted_and_replaced_as_a_whole(region: Region) -> None:
    store = SpeakerNameStore(region.database, region.encryptor)
    end(region)
    assert asyncio.run(store.get(ID)) == SpeakerNames()
    assert asyncio.run(store.put(ID, NAMES))
    assert asyncio.run(store.get(ID)) == NAMES
    assert b"Anna" not in (stored(region) or b"Anna")
    assert t.jobs.c.speaker_names in SEALED, "a change of the key encrypts it again"
    assert asyncio.run(store.put(ID, SpeakerNames()))
    assert stored(region) is None


def test_a_job_that_is_not_done_or_removed_gets_no_names_and_a_tombstone_has_none(region: Region) -> None:
    store = SpeakerNameStore(region.database, region.encryptor)
    assert not asyncio.run(store.put(ID, NAMES))
    end(region)
    assert asyncio.run(store.put(ID, NAMES))
    with region.database.writing() as connection:
        assert repository.make_tombstone(connection, ID, Event.EXPIRED_BY_RETENTION)
    assert stored(region) is None
    assert not asyncio.run(store.put(ID, NAMES))
    assert not asyncio.run(store.put("nothing", NAMES))


def test_names_that_no_key_decrypts_are_left_out(region: Region) -> None:
    end(region)
    other = SpeakerNameStore(region.database, Encryptor([Fernet.generate_key()]))
    asyncio.run(other.put(ID, NAMES))
    assert asyncio.run(SpeakerNameStore(region.database, region.encryptor).get(ID)) == SpeakerNames()
