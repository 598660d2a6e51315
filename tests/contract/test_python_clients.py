"""The vendor's own Python clients, unmodified from the registry, against a real server."""

import asyncio
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.conftest import SHARED
from tests.servers import Server

pytestmark = pytest.mark.system
SCRIPTS = ["smoke_batch_async.py", "smoke_batch_sync.py", "smoke_cli_batch.py"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of their own: listing rebuilds every job's config, and the client knows fewer fields than the contract."""
    with Server(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.mark.shared
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_vendors_smoke_scripts_pass(server, script, demo):
    environment = {**os.environ, "BASE_URL": server.url, "API_KEY": server.key, "AUDIO": str(demo)}
    ran = subprocess.run(
        [sys.executable, str(SHARED / "clients" / script)], env=environment, capture_output=True, text=True, timeout=200
    )
    assert ran.stdout.startswith("PASS"), ran.stdout + ran.stderr


def test_the_async_client_submits_waits_and_reads(server, demo):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch import AsyncClient, FormatType, JobConfig, JobStatus, JobType, TranscriptionConfig

    async def run() -> None:
        async with AsyncClient(api_key=server.key, url=f"{server.url}/v2") as client:
            config = JobConfig(type=JobType.TRANSCRIPTION, transcription_config=TranscriptionConfig(language="en"))
            job = await client.submit_job(str(demo), config=config)
            transcript = await client.wait_for_completion(job.id, timeout=100)
            assert transcript.transcript_text == await client.get_transcript(job.id, format_type=FormatType.TXT)
            assert "-->" in await client.get_transcript(job.id, format_type=FormatType.SRT)
            info = await client.get_job_info(job.id)
            assert info.status == JobStatus.DONE
            assert info.config.transcription_config.language == "en"
            assert job.id in {listed.id for listed in await client.list_jobs(limit=100)}
            await client.delete_job(job.id)

    asyncio.run(run())


def test_the_old_library_submits_waits_reads_lists_and_deletes(server, demo):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch_client import BatchClient
        from speechmatics.models import BatchTranscriptionConfig, ConnectionSettings

        with BatchClient(ConnectionSettings(url=server.url, auth_token=server.key)) as client:
            job_id = client.submit_job(str(demo), BatchTranscriptionConfig(language="en"))
            transcript = client.wait_for_completion(job_id, transcription_format="json-v2")
            assert transcript["results"]
            assert client.get_job_result(job_id, "txt").strip()
            assert "-->" in client.get_job_result(job_id, "srt")
            assert job_id in {job["id"] for job in client.list_jobs()}
            assert "deleted" in client.delete_job(job_id)


def test_the_old_command_transcribes(server, demo, tmp_path):
    command = Path(sys.executable).parent / "speechmatics"
    ran = subprocess.run(
        [
            command,
            "batch",
            "transcribe",
            "--url",
            f"{server.url}/v2",
            "--auth-token",
            server.key,
            "--lang",
            "en",
            str(demo),
        ],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr
    assert "completed!" in ran.stdout
