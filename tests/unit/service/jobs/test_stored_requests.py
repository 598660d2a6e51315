"""Later reads of a job use its stored request; jobs of releases that stored none are read in spite of stricter checks."""

import asyncio
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.job import JobType, State
from sottovoce.request import TranscriptionRequest
from sottovoce.service.jobs import model, repository
from sottovoce.service.jobs.results import Results
from sottovoce.service.jobs.v1_view import V1ViewBuilder
from sottovoce.service.large_work import LargeWork
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.storage import job_requests, migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor
from tests.fixtures.make_data_folder import FOLDERS
from tests.unit.service.service_values import FakeQueue, database_at
from tests.unit.service.task_values import CONFIG, Region, region_in

RELEASES = sorted(path.stem for path in FOLDERS.glob("*.json"))


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        yield made


def test_a_stored_request_outlives_stricter_checks(region: Region) -> None:
    """The raw config is one that no release would accept now: nothing reads it but the echo."""
    request = TranscriptionRequest(language="en")
    region.accept({"of": "the past"}, request=job_requests.encrypted(region.encryptor, request))
    job = region.job()
    assert job_requests.request_of(region.encryptor, job) == request
    assert region.results.view(job).config == {"of": "the past"}
    assert V1ViewBuilder(region.encryptor, region.results, region.large_work).view(job, user_id=1).lang == "en"


def test_a_tombstone_has_no_request(region: Region) -> None:
    region.accept(CONFIG, request=b"sealed")
    region.remove()
    assert (region.job().config, region.job().request) == (None, None)
    assert job_requests.request_of(region.encryptor, region.job()) is None


class Folder:
    """The data folder of an earlier release, upgraded."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database = database
        self.encryptor = Encryptor.open_file(home / "data" / "secrets.key", create=False)
        blobs = Blobs.open(f"file://{home}/data/eu1/blobs", {})
        self.results = Results(blobs, self.encryptor, database, LargeWork(), Metrics())
        migrate.upgrade(database, migrate.REGION)

    def jobs(self) -> list[model.Job]:
        with self.database.reading() as connection:
            return repository.list_all(connection, state=None, limit=100)

    def tighten(self, job: model.Job) -> None:
        """Make the config one that today's checks refuse, as if they had become stricter since."""
        assert job.config is not None
        config = json.loads(self.encryptor.decrypt(job.config))
        config["tracking"] = "a string"
        config["transcription_config"]["punctuation_overrides"] = {"sensitivity": 7}
        for entry in config.get("notification_config", ()):
            entry["contents"].append("a part that is gone")
        changed = self.encryptor.encrypt(json.dumps(config).encode())
        with self.database.writing() as connection:
            connection.execute(sa.update(t.jobs).where(t.jobs.c.id == job.id).values(config=changed))


@pytest.fixture(params=RELEASES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Folder, dict[str, Any]]]:
    facts = json.loads((FOLDERS / f"{request.param}.json").read_text(encoding="utf-8"))
    with tarfile.open(FOLDERS / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    with database_at(tmp_path / "data" / "eu1" / "region.db") as database:
        yield Folder(database, tmp_path), facts


def words(form: str, text: str) -> list[str]:
    """The words of *text*; the division of subtitles into cues may change with each release."""
    lines = text.splitlines()
    if form == "srt":
        lines = [line for line in lines if "-->" not in line and not line.strip().isdigit()]
    return " ".join(lines).split()


def test_jobs_of_an_earlier_release_outlive_stricter_checks(folder: tuple[Folder, dict[str, Any]]) -> None:
    opened, facts = folder
    bodies = {path: body for answers in facts["done"].values() for path, body in answers.items()}
    for job in opened.jobs():
        if job.type is JobType.TRANSCRIPTION and job.api == "v2" and job.config is not None:
            opened.tighten(job)
    posted, texts = 0, 0
    for job in opened.jobs():
        outbox = Outbox(opened.encryptor, FakeQueue(), SendPolicy().tries)
        if job.config is not None and job.api == "v2":
            posted += len(outbox.envelopes(job))
        if job.state is State.DONE and job.type is JobType.TRANSCRIPTION and job.api == "v2":
            values = asyncio.run(opened.results.renderings(job, ["txt", "srt"]))
            for form, text in values.items():
                assert words(form, text.decode()) == words(form, bodies[f"/v2/jobs/{job.id}/transcript?format={form}"])
                texts += 1
    assert posted == 3  # of one finished, the running and the queued job
    assert texts == 8
