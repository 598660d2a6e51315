"""Jobs of OpenAI's API that are kept, and that a server stops in the middle of."""

import threading
from pathlib import Path

import httpx
import pytest

from tests.contract.test_openai import TRANSCRIBE, held, jobs, post
from tests.gated import Gate
from tests.servers import Server, until

pytestmark = pytest.mark.system


def test_jobs_are_kept_where_the_operator_says_so_and_a_stop_is_told(tmp_path: Path, gate: Gate, demo: Path) -> None:
    environment = gate.environment("Sesame") | {"SOTTOVOCE_OPENAI_KEEP_JOBS": "true"}
    with Server(tmp_path, **environment) as server:
        with server.client() as client:
            text = post(client, demo, prompt="Ada, Lovelace").json()["text"]
            (job,) = jobs(client)
            assert (job["status"], job["data_name"]) == ("done", demo.name)
            assert job["config"]["transcription_config"]["language"] == "en"
            assert server.transcript(job["id"], "txt") == text
            answers: list[httpx.Response] = []
            thread = threading.Thread(target=lambda: answers.append(client.send(held(client, demo))))
            thread.start()
            until(lambda: len(jobs(client)) == 2, "job")
            gate.held(server)
            server.stop()
            thread.join()
        assert answers[0].status_code == 503
        assert answers[0].json()["error"]["code"] == "service_unavailable"
        assert int(answers[0].headers["retry-after"]) > 0
        assert TRANSCRIBE.startswith("/v1/")
        server.start()
        with server.client() as client:
            assert [each["status"] for each in jobs(client)] == ["deleted", "done"]
