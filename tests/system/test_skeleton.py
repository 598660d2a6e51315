"""One real job, all the way, on a server that was just started in an empty folder."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import prefork
from tests.media_files import Audio, Recipe, write
from tests.recognition.material import FIXTURES, load
from tests.servers import CONFIG, PATIENCE, NewProcess, Server, tls, until

pytestmark = pytest.mark.system

SILENCE = Path(__file__).parents[1] / "fixtures" / "audio" / "silence.wav"
TITLED = {**CONFIG, "tracking": {"title": "A demo", "tags": ["one"], "details": {"b": 1, "a": [2]}}}


def words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c in "' " else " " for c in text.lower()).split()


@pytest.fixture(scope="module")
def job_id(server, demo):
    """The job of the demo sample, ended."""
    submitted = server.submit(demo, TITLED)
    server.wait(submitted)
    return submitted


@pytest.fixture(scope="module")
def told_by_command(demo):
    """What the command says of the demo sample."""
    done = prefork.run("transcribe", "--engine", "pocketsphinx", "--format", "json", str(demo))
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def told_of_numbers():
    """What the command says of spoken numbers, with entities."""
    numbers = SILENCE.with_name("numbers.flac")
    options = ("--engine", "pocketsphinx", "--entities", "--locale", "en-GB", "--format", "json")
    done = prefork.run("transcribe", *options, str(numbers))
    return json.loads(done.stdout)


def test_the_demo_sample_is_transcribed(server, job_id, demo_text):
    assert server.job(job_id)["status"] == "done"
    assert words(server.transcript(job_id, "txt")) == words(demo_text)


def test_service_and_command_line_hear_the_same(server, job_id, told_by_command):
    assert told_by_command["results"] == server.transcript(job_id)["results"]


def test_numbers_are_written_and_shown_as_entities(told_of_numbers):
    """Spoken numbers, in real audio: class, spoken and written form, and times inside the audio (contract §7.4)."""
    results = told_of_numbers["results"]
    entities = [item for item in results if item["type"] == "entity"]
    assert [(item["entity_class"], item["alternatives"][0]["content"]) for item in entities] == [
        ("date", "1984"),
        ("money", "$5"),
        ("cardinal", "250"),
        ("date", "May 3rd"),
    ]
    spoken = [" ".join(part["alternatives"][0]["content"] for part in item["spoken_form"]) for item in entities]
    assert spoken == ["nineteen eighty four", "five dollars", "two hundred fifty", "may third"]
    for item in entities:
        for form in item["spoken_form"], item["written_form"]:
            times = [time for part in form for time in (part["start_time"], part["end_time"])]
            assert times == sorted(times)
            assert (times[0], times[-1]) == (item["start_time"], item["end_time"])
    times = [time for item in results for time in (item["start_time"], item["end_time"])]
    assert times == sorted(times)
    assert times[-1] <= told_of_numbers["job"]["duration"]


def test_the_log_shows_which_engine_ran_and_why(server, job_id):
    claimed = [line for line in server.events("job claimed") if line["job"] == job_id]
    assert [line["engine"] for line in claimed] == ["pocketsphinx"]
    assert "embedded English engine" in claimed[0]["why"]
    with server.client() as client:
        log = client.get(f"/v2/jobs/{job_id}/log").text
    assert "pocketsphinx en-us on cpu" in log
    assert "sottovoce.done" in log


def test_what_stands_in_a_transcript(server, demo, job_id):
    job = server.job(job_id)
    transcript = server.transcript(job_id)
    assert transcript["format"] == "2.9"
    assert transcript["job"]["id"] == job_id
    assert transcript["job"]["data_name"] == demo.name
    assert transcript["job"]["duration"] == job["duration"] > 0
    assert transcript["job"]["tracking"] == TITLED["tracking"]
    assert transcript["metadata"]["transcription_config"] == CONFIG["transcription_config"]
    assert transcript["metadata"]["language_pack_info"]["word_delimiter"] == " "
    first, *_, last = transcript["results"]
    assert first["type"] == "word"
    assert first["alternatives"][0]["content"][0].isupper()
    assert last["type"] == "punctuation"
    assert last["is_eos"] is True
    assert last["attaches_to"] == "previous"
    starts = [item["start_time"] for item in transcript["results"]]
    assert starts == sorted(starts)
    assert max(item["end_time"] for item in transcript["results"]) <= job["duration"] + 1


def test_the_config_comes_back_as_it_was_sent(server):
    config = {"transcription_config": {"operating_point": "enhanced", "language": "en"}, "type": "transcription"}
    job = server.job(server.submit(SILENCE, config))
    assert json.dumps(job["config"]) == json.dumps(config)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong-key"}, {"Authorization": "Basic abc"}])
def test_without_a_key_that_works_nobody_gets_in(server, headers):
    answer = httpx.get(f"{server.url}/v2/jobs/abcdefghij", headers=headers, timeout=PATIENCE, verify=tls())
    assert answer.status_code == 401
    assert answer.json()["error"] == "Permission Denied"


def test_another_projects_job_is_not_there(server, tmp_path):
    with Server(tmp_path) as other:
        job_id = other.submit(SILENCE)
        with server.client() as client:
            answer = client.get(f"/v2/jobs/{job_id}")
    assert (answer.status_code, answer.json()["error"]) == (404, "Job not found")


def test_health_metrics_and_reference(server):
    with httpx.Client(base_url=server.url, timeout=PATIENCE, verify=tls()) as client:
        assert client.get("/health/live").json() == {"live": True}
        assert client.get("/health/ready").json()["ready"] is True
        assert "sottovoce_jobs{" in client.get("/metrics").text
        assert "/v2/jobs/{job_id}/transcript" in client.get("/openapi.json").json()["paths"]
        assert "Create a job" in client.get("/docs").text
        assert client.get("/docs", headers={"Accept": "text/markdown"}).text.startswith("# Sottovoce")
        assert client.get("/docs.md").headers["content-type"].startswith("text/markdown")
        assert "/openapi.json" in client.get("/llms.txt").text


def test_the_first_key_is_shown_once_and_kept_for_its_owner_only(tmp_path):
    server = NewProcess(tmp_path)
    with server:
        key = server.key
        assert key in server.out.read_text()
        assert stat.S_IMODE((server.data / "api-key").stat().st_mode) == 0o600
        server.stop()
        server.start()
        assert key not in server.out.read_text()
        assert server.key == key
        with server.client() as client:
            assert client.get("/v2/jobs").status_code == 200
    assert key not in server.log.read_text()


def test_a_given_key_is_taken(tmp_path):
    with Server(tmp_path, SOTTOVOCE_API_KEY="chosen-by-the-operator") as server:
        assert server.key == "chosen-by-the-operator"
        with server.client() as client:
            assert client.get("/v2/jobs").status_code == 200
    assert "chosen-by-the-operator" not in server.log.read_text()


def test_a_second_server_on_the_same_folder_is_refused(tmp_path):
    with Server(tmp_path) as server:
        refused_beside(server)


def refused_beside(server):
    second = prefork.run("serve", "--data-dir", str(server.data), "--port", "0")
    assert second.returncode == 1
    assert "another server is using region eu1" in second.stderr
    assert "name another folder with --data-dir" in second.stderr


def test_keys_are_made_listed_and_revoked(server):
    def keys(*arguments: str) -> str:
        return str(server.told("keys", *arguments))

    def answer() -> int:
        return httpx.get(f"{server.url}/v2/jobs", headers=headers, timeout=PATIENCE, verify=tls()).status_code

    made = json.loads(keys("create", "night desk", "--json"))
    key_id, secret = made["id"], made["secret"]
    headers = {"Authorization": f"Bearer {secret}"}
    assert answer() == 200
    listed = keys("list")
    assert f"{key_id}  " in listed
    assert "active  night desk" in listed
    assert secret not in listed
    keys("revoke", key_id)
    until(lambda: answer() == 401, "revocation")


def test_a_port_in_use_is_said_plainly(server, tmp_path):
    port = server.url.rpartition(":")[2]
    second = prefork.run("serve", "--data-dir", str(tmp_path), "--port", port)
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: " in second.stderr
    assert second.stderr.endswith("; choose another port with --port or SOTTOVOCE_PORT\n")
    assert "Traceback" not in second.stderr


def test_help_loads_nothing_heavy():
    heavy = [
        "av",
        "numpy",
        "onnxruntime",
        "ctranslate2",
        "pocketsphinx",
        "faster_whisper",
        "sqlalchemy",
        "dbos",
        "starlette",
        "uvicorn",
        "pydantic",
        "obstore",
    ]
    program = (
        "import sys\nfrom sottovoce.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("trusted", "client"),
    [
        ("", "127.0.0.1"),
        ("10.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9"),
        ("127.0.0.0/8,10.1.2.3", "203.0.113.9"),
    ],
)
def test_only_a_trusted_proxy_is_believed_about_its_client(tmp_path, trusted, client):
    settings = {"SOTTOVOCE_ROLES": "api", "SOTTOVOCE_TRUSTED_PROXIES": trusted}
    with Server(tmp_path, **settings) as server, server.client() as http:
        http.get("/v2/jobs", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https"})
        lines = until(lambda: [line for line in server.events("request") if line["path"] == "/v2/jobs"], "access line")
    assert [line["client"] for line in lines] == [client]


def test_media_time_and_tracks_over_http_and_on_the_command_line(server, tmp_path):
    """The audio begins 4 s after the video, and the first of two tracks is silent."""
    voice = load(FIXTURES / "speech.flac")[None]
    tracks = [Audio(codec="aac", rate=16_000, silent=True), Audio(codec="flac", rate=16_000, samples=voice)]
    path = write(tmp_path / "talk.mkv", Recipe(container="matroska", tracks=tracks, offset=4.0, video=True))
    job_id = server.submit(path)
    assert server.wait(job_id)["duration"] == 7
    heard = server.transcript(job_id)["results"]
    assert heard[0]["start_time"] == pytest.approx(4.3, abs=0.2)
    assert server.transcript(job_id, "srt").startswith("1\n00:00:04,")
    with server.client() as client:
        log = client.get(f"/v2/jobs/{job_id}/log").text
    assert "the audio begins 4.00 s after the beginning of the media" in log
    assert "track 2 of 2 is transcribed: track 1 is without sound" in log

    def local(*arguments):
        return prefork.run("transcribe", "--engine", "pocketsphinx", *arguments, str(path))

    found = local("--format", "json", "--track", "2")
    assert json.loads(found.stdout)["results"] == heard
    silent = local("--track", "1")
    assert silent.stdout.strip() == ""
    assert "no words: 0.0 s of speech activity" in silent.stderr
    refused = local("--track", "3")
    assert refused.returncode == 1
    assert "there is no track 3 that can be read: the file has 2 audio track(s)" in refused.stderr
