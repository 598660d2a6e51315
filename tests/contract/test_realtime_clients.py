"""The vendor's own realtime clients, unmodified from the registry, against a real socket with a scripted recogniser."""

import asyncio
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator

import pytest

from tests.conftest import SHARED
from tests.live_server import KEY, LiveServer, live_server

pytestmark = pytest.mark.system
SCRIPTS = ["smoke_rt.py", "smoke_rt_multichannel.py", "smoke_cli_rt.py", "smoke_voice.py", "smoke_legacy_sdk.py"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """All roles: the old library's script also submits a job, and temporary keys come from the management API."""
    home = tmp_path_factory.mktemp("live")
    with live_server(home, roles="api,batch,realtime", engine="pocketsphinx", slots=1) as found:
        yield found


@pytest.mark.shared
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_vendors_smoke_scripts_pass(server: LiveServer, script: str) -> None:
    environment = {**os.environ, "BASE_URL": f"http://{server.address}", "WS_URL": server.url, "API_KEY": KEY}
    ran = subprocess.run(
        [sys.executable, str(SHARED / "clients" / script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=server.runtime.plan.folder.root,
    )
    assert ran.stdout.startswith("PASS"), ran.stdout + ran.stderr


def test_a_temporary_key_of_the_client_opens_sessions(server: LiveServer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.rt import (
            AsyncClient,
            AudioEncoding,
            AudioFormat,
            JWTAuth,
            ServerMessageType,
            TranscriptionConfig,
        )

    async def run() -> list[str]:
        auth = JWTAuth(KEY, ttl=60, mp_url=f"http://{server.address}")
        got: list[str] = []
        async with AsyncClient(auth=auth, url=f"{server.url}/v2") as client:
            client.on(ServerMessageType.ADD_TRANSCRIPT, lambda m: got.append(m["metadata"]["transcript"]))
            await client.transcribe(
                io.BytesIO(b"\0" * 64_000),
                transcription_config=TranscriptionConfig(language="en"),
                audio_format=AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000),
            )
        return got

    assert asyncio.run(run()) == ["alpha bravo charlie delta. "]
