"""Whisper behind the whole service: a model of random weights, so what is said is shape, never quality."""

import json
import os
from pathlib import Path

import pytest

from sottovoce.engines.models.catalogue import CATALOGUE
from sottovoce.engines.whisper.languages import whisper_codes
from sottovoce.engines.whisper.style import EXAMPLES
from tests import prefork
from tests.hub import Hub, Repository
from tests.servers import Server, until
from tests.tiny_whisper import build
from tests.unknown_files import emptied_for_children

pytestmark = pytest.mark.system

UNSURE = "Language identification could not identify any language with sufficient confidence"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("whisper")
    build(home / "data" / "models" / "tiny")
    with Server(home, SOTTOVOCE_ENGINE="auto", SOTTOVOCE_IDLE_UNLOAD="600") as started:
        yield started


def asked(language: str, *, point: str = "standard", **identification: object) -> dict[str, object]:
    config: dict[str, object] = {
        "type": "transcription",
        "transcription_config": {"language": language, "operating_point": point},
    }
    return {**config, "language_identification_config": identification} if identification else config


def refused(server: Server, demo, config: dict[str, object]) -> dict[str, object]:
    with server.client() as client, demo.open("rb") as file:
        answer = client.post("/v2/jobs", data={"config": json.dumps(config)}, files={"data_file": file})
    assert answer.status_code == 400, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("language", ["en", "de", "cmn", "ar", "cy", "cmn_en"])
def test_every_language_of_whisper_is_taken_and_its_words_lie_inside_the_audio(server, demo, language):
    job_id = server.submit(demo, asked(language, point="enhanced"))
    assert server.wait(job_id)["status"] == "done"
    body = server.transcript(job_id)
    times = [(item["start_time"], item["end_time"]) for item in body["results"]]
    assert all(0 <= start <= end <= 15.9 for start, end in times)
    assert times == sorted(times, key=lambda span: span[0])
    heard = {item["alternatives"][0]["language"] for item in body["results"]}
    # where there is an example text, a second decode has other random words, and none of the first may stay
    assert heard == {language} or (not heard and whisper_codes(language)[0] in EXAMPLES)
    with server.client() as client:
        log = client.get(f"/v2/jobs/{job_id}/log").text
    assert "whisper tiny on cpu" in log


def test_a_language_that_nobody_can_write_down_is_refused_with_what_there_is(server, demo):
    body = refused(server, demo, asked("eo"))
    assert "language 'eo' is not available on this server (available: " in str(body["detail"])


def test_an_open_language_is_identified(server, demo):
    """Random weights are never sure, which shows each way that an unsure answer can go."""
    rejected = server.wait(server.submit(demo, asked("auto")))
    assert (rejected["status"], [error["message"] for error in rejected["errors"]]) == ("rejected", [UNSURE])
    job_id = server.submit(demo, asked("auto", low_confidence_action="use_default_language", default_language="de"))
    assert server.wait(job_id)["status"] == "done"
    metadata = server.transcript(job_id)["metadata"]
    found = metadata["language_identification"]
    assert (found["error"], found["message"]) == ("LOW_CONFIDENCE", UNSURE + ".")
    (result,) = found["results"]
    scores = [alternative["confidence"] for alternative in result["alternatives"]]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    assert 0 <= result["start_time"] < result["end_time"] <= 15.9
    assert metadata["transcription_config"] == {"language": "auto", "operating_point": "standard"}
    assert metadata["language_pack_info"]["language_description"] == "German"


def test_silence_has_no_language(server, tmp_path):
    import wave

    silence = tmp_path / "silence.wav"
    with wave.open(str(silence), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000 * 3))
    rejected = server.wait(server.submit(silence, asked("auto", low_confidence_action="allow")))
    assert rejected["errors"][0]["message"] == "No speech found for language identification"
    job_id = server.submit(silence, asked("auto", low_confidence_action="use_default_language", default_language="fr"))
    assert server.wait(job_id)["status"] == "done"
    body = server.transcript(job_id)
    assert body["results"] == []
    assert body["metadata"]["language_identification"]["error"] == "NO_SPEECH"


@pytest.mark.parametrize(
    ("how", "at"),
    [
        ({"expected_languages": ["bn"]}, "expected_languages"),
        ({"expected_languages": ["en", "eo"]}, "expected_languages"),
        ({"low_confidence_action": "use_default_language", "default_language": "ug"}, "default_language"),
    ],
)
def test_an_answer_that_could_never_come_is_refused_at_once(server, demo, how, at):
    assert f"language_identification_config.{at}: " in str(refused(server, demo, asked("auto", **how))["detail"])


def test_the_embedded_engine_is_still_there_when_it_is_set(tmp_path, sentence):
    build(tmp_path / "data" / "models" / "tiny")
    with Server(tmp_path, SOTTOVOCE_ENGINE="pocketsphinx") as server:
        assert "language identification is not available" in str(refused(server, sentence, asked("auto"))["detail"])
        job_id = server.submit(sentence)
        assert server.wait(job_id)["status"] == "done"
        assert "meeting" in server.transcript(job_id, "txt")


# ── models that the server fetches itself ──


@pytest.fixture
def hub(tmp_path):
    """A hub that has `whisper-base`, of random weights."""
    folder = build(tmp_path / "hub")
    base = CATALOGUE["whisper-base"]
    with Hub() as started:
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        started.repositories[base.repository] = Repository(files, commit=base.revision)
        yield started


def mirrored(hub: Hub, home: Path) -> dict[str, str]:
    """Settings of a server that fetches from *hub* alone, and takes random weights for those of the catalogue."""
    own = {
        "SOTTOVOCE_ENGINE": "auto",
        "SOTTOVOCE_MODELS_URL": hub.url,
        "SOTTOVOCE_MODEL_SOURCES": "mirror",
        "SOTTOVOCE_DEVICE": "cpu",
    }
    return own | emptied_for_children(home / "site")


def test_a_server_that_is_told_to_use_whisper_fetches_it_once(tmp_path, hub, demo):
    environment = mirrored(hub, tmp_path) | {"SOTTOVOCE_ENGINE": "whisper"}
    with Server(tmp_path, **environment) as server:
        job_id = server.submit(demo, asked("fr"))
        assert server.wait(job_id)["status"] == "done"
        (line,) = until(lambda: server.events("job done"), "line about the end")
        assert "whisper whisper-base" in line["engine"]
        assert server.events("model pull progress")
    asked_so_far = len(hub.seen)
    with Server(tmp_path, **environment) as server:
        assert server.wait(server.submit(demo, asked("fr")))["status"] == "done"
    assert len(hub.seen) == asked_so_far


def test_engine_auto_fetches_only_when_it_is_allowed_to(tmp_path, hub, demo):
    environment = mirrored(hub, tmp_path)
    with Server(tmp_path, **environment) as server:
        assert "not available" in str(refused(server, demo, asked("fr"))["detail"])
    assert hub.seen == []
    with Server(tmp_path, SOTTOVOCE_FETCH_MODELS="true", **environment) as server:
        assert server.wait(server.submit(demo, asked("fr")))["status"] == "done"


def test_engine_auto_does_without_a_model_that_it_cannot_fetch(tmp_path, hub, sentence):
    hub.repositories.clear()
    with Server(tmp_path, SOTTOVOCE_FETCH_MODELS="true", **mirrored(hub, tmp_path)) as server:
        (warning,) = server.events("model not fetched")
        assert "whisper" in warning["why"]
        assert server.wait(server.submit(sentence))["status"] == "done"


def test_a_folder_that_was_copied_half_is_a_line_in_the_log_and_the_server_does_without(tmp_path, sentence):
    folder = tmp_path / "data" / "models" / "whisper-base"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes(b"half")
    with Server(tmp_path, SOTTOVOCE_ENGINE="auto") as server:
        (fault,) = server.events("model cannot be used")
        assert (fault["model"], "models pull whisper-base" in fault["remedy"]) == ("whisper-base", True)
        (nothing,) = server.events("no model is installed: only English is transcribed, by the embedded engine")
        assert "models pull whisper-base" in nothing["remedy"]
        assert server.wait(server.submit(sentence))["status"] == "done"


def test_a_server_that_has_nothing_to_recognise_with_says_so_and_ends(tmp_path):
    environment = {"SOTTOVOCE_ENGINE": "whisper", "SOTTOVOCE_OFFLINE": "true", "PATH": os.environ["PATH"]}
    done = prefork.run("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), cwd=tmp_path, env=environment)
    assert done.returncode == 1
    assert "offline" in done.stderr
    assert "Traceback" not in done.stderr
