"""Speech intelligence on a real server: every result and every error as the published description has them, and as the vendor's
clients read them (contract `batch-v2.md` §7.3, §7.5–§7.9).

The words come from an engine without a model; encoder, translation model and tagger have weights that mean nothing, but are run by the
real runtimes.
"""

import asyncio
import json
import os
import subprocess
import warnings
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sottovoce.job import State
from sottovoce.transcript.model import RATE, StageError, Transcript
from sottovoce.wire.formats import json_v2
from sottovoce.wire.v2.job import JobView
from tests import sleeper, tiny_encoder, tiny_tagger, tiny_translator
from tests.conftest import SHARED
from tests.contract.failures import JOB, SPEECH, submit
from tests.contract.node_packages import install
from tests.contract.published import Published
from tests.servers import Server

pytestmark = pytest.mark.system

ASKED = {
    "translation_config": {"target_languages": ["de", "en"]}, "summarization_config": {"summary_type": "bullets"},
    "sentiment_analysis_config": {}, "topic_detection_config": {"topics": ["music", "delivery"]}, "auto_chapters_config": {},
    "audio_events_config": {},
}  # fmt: skip
ERRORS = {
    "translation_errors": ("translation_failed", "unsupported_translation_pair"),
    "summarization_errors": ("summarization_failed", "unsupported_language"),
    "sentiment_analysis_errors": ("sentiment_analysis_failed", "unsupported_language"),
    "topic_detection_errors": ("topic_detection_failed", "unsupported_list_of_topics", "unsupported_language"),
    "auto_chapters_errors": ("auto_chapters_failed", "unsupported_language"),
}
"""Every type of every list (§7.3)."""


def config(language: str = "en", **members: Any) -> dict[str, Any]:
    return {"type": "transcription", "transcription_config": {"language": language}, **ASKED, **members}


@pytest.fixture(scope="module")
def published() -> Published:
    return Published(SHARED / "contract" / "rest.json", "batch")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    """Speech, and then three seconds that the tagger takes for laughter."""
    with wave.open(str(demo)) as spoken:
        speech = spoken.readframes(8 * RATE)
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    with wave.open(str(path), "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(RATE)
        made.writeframes(speech + np.full(3 * RATE, -6_000, "<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Every stage has a backend."""
    home = tmp_path_factory.mktemp("stages")
    tiny_encoder.build(home / "models" / "tiny")
    settings = {
        **sleeper.environment(),
        "SOTTOVOCE_MODELS_DIR": str(home / "models"),
        "SOTTOVOCE_TRANSLATION_MODELS": f"en-de={tiny_translator.build(home / 'de', spm=True)}",
        "SOTTOVOCE_AUDIO_TAGGER": str(tiny_tagger.build(home / "tagger")),
    }
    with Server(home, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Every stage is given to a language model that is not there."""
    settings = {
        **sleeper.environment(),
        "SOTTOVOCE_CHAT_URL": "http://127.0.0.1:9/v1",
        "SOTTOVOCE_CHAT_MODEL": "none",
        "SOTTOVOCE_STAGES": "summary=chat,sentiment=chat,topics=chat,chapters=chat,translation=chat",
    }
    with Server(tmp_path_factory.mktemp("failing"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def dutch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It recognises Dutch, in which no stage but the summary has a backend."""
    home = tmp_path_factory.mktemp("dutch")
    tiny_encoder.build(home / "models" / "tiny")
    settings = {
        **sleeper.environment(),
        "SLEEPER_LANGUAGES": "nl,en",
        "SOTTOVOCE_MODELS_DIR": str(home / "models"),
        "SOTTOVOCE_TRANSLATION_MODELS": f"en-de={tiny_translator.build(home / 'de', spm=True)}",
    }
    with Server(home, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def done(server: Server, talk: Path) -> str:
    """A job with every stage."""
    job_id = server.submit(talk, config())
    assert server.wait(job_id)["status"] == "done"
    return job_id


def checked(body: Any) -> None:
    """*body* has a result of every stage, in the shapes of §7.5–§7.9."""
    assert not [name for name in body["metadata"] if name.endswith("_errors")]
    words = sum(each["type"] == "word" for each in body["results"])
    assert sorted(body["translations"]) == ["de", "en"]
    for sentences in body["translations"].values():
        assert sentences
        for each in sentences:
            assert set(each) == {"start_time", "end_time", "content", "speaker"}
    assert sum(len(each["content"].split()) for each in body["translations"]["en"]) == words
    assert body["summary"]["content"]
    counts = body["sentiment_analysis"]["summary"]["overall"]
    assert sum(counts.values()) == len(body["sentiment_analysis"]["segments"])
    assert set(body["topics"]["summary"]["overall"]) == {"music", "delivery"}, "0 included (§7.7)"
    assert body["chapters"][0]["start_time"] == 0
    assert body["chapters"][-1]["end_time"] == pytest.approx(11, abs=0.1)
    events = {each["type"]: each for each in body["audio_events"]}
    assert events["laughter"]["start_time"] == pytest.approx(8, abs=1)
    assert events["laughter"]["end_time"] == pytest.approx(11, abs=0.1)
    assert set(body["audio_event_summary"]["overall"]) == {"applause", "laughter", "music", "silence", "speech"}
    assert body["audio_event_summary"]["overall"]["speech"]["count"] == words


@pytest.mark.shared
def test_every_stage_is_as_the_published_description_has_it(server: Server, done: str, published: Published) -> None:
    with server.client() as client:
        answer = client.get(f"/v2/jobs/{done}/transcript")
    published.verify(answer, f"{JOB}/transcript")
    checked(answer.json())
    for name, asked in ASKED.items():
        assert answer.json()["metadata"][name] == asked


def test_the_vendors_python_clients_read_every_stage(server: Server, done: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch import AsyncClient
        from speechmatics.batch_client import BatchClient
        from speechmatics.models import ConnectionSettings

        with BatchClient(ConnectionSettings(url=server.url, auth_token=server.key)) as old:
            checked(old.get_job_result(done, "json-v2"))

    async def run() -> Any:
        async with AsyncClient(api_key=server.key, url=f"{server.url}/v2") as client:
            return await client.get_transcript(done)

    found, body = asyncio.run(run()), server.transcript(done)
    for name in (
        "translations", "summary", "sentiment_analysis", "topics", "chapters", "audio_events", "audio_event_summary",
    ):  # fmt: skip
        assert getattr(found, name) == body[name], name


def test_the_vendors_python_client_asks_for_every_stage(server: Server, talk: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics.batch import (
            AsyncClient,
            AutoChaptersConfig,
            JobConfig,
            JobType,
            SentimentAnalysisConfig,
            SummarizationConfig,
            TopicDetectionConfig,
            TranscriptionConfig,
            TranslationConfig,
        )
        from speechmatics.batch._models import AudioEventsConfig

    asked = JobConfig(
        type=JobType.TRANSCRIPTION,
        transcription_config=TranscriptionConfig(language="en"),
        translation_config=TranslationConfig(target_languages=["de", "en"]),
        summarization_config=SummarizationConfig(),
        sentiment_analysis_config=SentimentAnalysisConfig(),
        topic_detection_config=TopicDetectionConfig(topics=["music", "delivery"]),
        auto_chapters_config=AutoChaptersConfig(),
        audio_events_config=AudioEventsConfig(),
    )

    async def run() -> str:
        async with AsyncClient(api_key=server.key, url=f"{server.url}/v2") as client:
            job = await client.submit_job(str(talk), config=asked)
            transcript = await client.wait_for_completion(job.id, timeout=100)
            assert transcript.summary
            return str(job.id)

    checked(server.transcript(asyncio.run(run())))


def test_the_vendors_javascript_client_asks_and_reads(
    server: Server, talk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = install(tmp_path_factory.mktemp("node"))
    asked = {name: value for name, value in config().items() if name != "type"}
    environment = {
        **os.environ, "URL": server.url, "KEY": server.key, "AUDIO": str(talk), "CONFIG": json.dumps(asked),
    }  # fmt: skip
    ran = subprocess.run(
        ["node", "intelligence.mjs"], cwd=home, env=environment, capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["state"] == "done"
    checked(answer["result"])


# ── errors ──


def errors(server: Server, published: Published, asked: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """The error lists of a job with the config *asked*, which the description must know."""
    job_id = server.submit(SPEECH, asked)
    ended = server.wait(job_id)
    assert ended["status"] == "done", ended.get("errors")
    with server.client() as client:
        answer = client.get(f"/v2/jobs/{job_id}/transcript")
    published.verify(answer, f"{JOB}/transcript")
    metadata = answer.json()["metadata"]
    return {
        name: [(each["type"], each["message"]) for each in found]
        for name, found in metadata.items()
        if name.endswith("_errors")
    }


@pytest.mark.shared
def test_a_backend_that_is_not_there(failing: Server, published: Published) -> None:
    found = errors(failing, published, config())
    assert found == {
        "translation_errors": [("translation_failed", "Translation from en to de failed.")],
        "summarization_errors": [("summarization_failed", "Summarization failed.")],
        "sentiment_analysis_errors": [("sentiment_analysis_failed", "Sentiment Analysis failed.")],
        "topic_detection_errors": [("topic_detection_failed", "Topic Detection failed.")],
        "auto_chapters_errors": [("auto_chapters_failed", "Auto Chapters failed.")],
    }
    assert "ChatFailed" in failing.log.read_text(encoding="utf-8"), "the log has the true cause"


@pytest.mark.shared
def test_a_language_without_a_backend(dutch: Server, published: Published) -> None:
    """The language is identified, so that the pairs are not checked at submission (§6.8)."""
    found = errors(dutch, published, config("auto"))
    assert found == {
        "translation_errors": [
            ("unsupported_translation_pair", "Translation from nl to de currently not supported"),
            ("unsupported_translation_pair", "Translation from nl to en currently not supported"),
        ],
        "sentiment_analysis_errors": [("unsupported_language", "Sentiment analysis not supported for nl.")],
        "topic_detection_errors": [("unsupported_language", "Topic Detection not supported for nl.")],
        "auto_chapters_errors": [("unsupported_language", "Auto chapters not supported for nl.")],
    }


@pytest.mark.shared
def test_too_many_topics(server: Server, published: Published) -> None:
    asked = config(topic_detection_config={"topics": [f"topic {number}" for number in range(11)]})
    assert errors(server, published, asked) == {
        "topic_detection_errors": [("unsupported_list_of_topics", "List of topics cannot exceed 10 topics.")]
    }


@pytest.mark.shared
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in ERRORS.items() for kind in kinds])
def test_every_type_of_every_list_is_one_of_the_description(published: Published, name: str, kind: str) -> None:
    """Also those that no backend of today can cause: the builtin summary and the chat backend know every language."""
    error = StageError(feature=name.removesuffix("_errors"), type=kind, message="m")
    transcript = Transcript(language="en", duration=RATE, created_at=0, errors=(error,))
    job = JobView(id="a" * 10, state=State.DONE, created_at=0, data_name="a.wav", duration_ms=1, config={})
    body = json_v2.render(json_v2.Source(transcript=transcript, job=job, version="1.0"))
    assert body["metadata"][name] == [{"type": kind, "message": "m"}]
    published.check(body, {"$ref": "#/definitions/RetrieveTranscriptResponse"})


@pytest.mark.shared
def test_a_pair_without_a_backend_is_refused_at_submission(server: Server, published: Published) -> None:
    with server.client() as client:
        answer = submit(client, SPEECH, config(translation_config={"target_languages": ["fr"]}))
    assert (answer.status_code, answer.json()["error"]) == (400, "Job rejected")
    assert "Translation from en to fr currently not supported" in answer.json()["detail"]
    published.verify(answer, "/jobs")
