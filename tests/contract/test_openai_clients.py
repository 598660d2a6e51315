"""OpenAI's own clients, unmodified from the registries, against a real server. They are in `.venv-clients`."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ROOT, Server

pytestmark = pytest.mark.system
TOOLS = ROOT / ".venv-clients"
SCRIPTS = Path(__file__).parent / "clients"
PYTHON = "run `make test`, which installs it"
NODE = "install Node.js 20 or newer (commands `node` and `npm`), then run `make test`"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("openai-clients")) as running:
        yield running


def passes(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.stdout.strip() == "PASS", ran.stdout + ran.stderr


def test_the_python_package(server: Server, demo: Path) -> None:
    python = TOOLS / "bin" / "python"
    assert python.exists(), f"openai is not in .venv-clients: {PYTHON}"
    passes([str(python), str(SCRIPTS / "openai_audio.py"), server.url, server.key, str(demo)])


def test_the_npm_package(server: Server, demo: Path) -> None:
    node = shutil.which("node")
    assert node, f"there is no Node.js: {NODE}"
    assert (TOOLS / "node_modules" / "openai").exists(), f"openai is not in .venv-clients: {NODE}"
    passes([node, str(SCRIPTS / "openai_audio.mjs"), str(TOOLS), server.url, server.key, str(demo)])


def test_no_job_of_theirs_is_left(server: Server) -> None:
    with server.client() as client:
        assert client.get("/v2/jobs").json()["jobs"] == []
    assert [line for line in server.lines() if line["level"] in {"error", "critical"}] == []
