"""Whatever our own API description allows, and what it forbids, is answered without a fault of ours."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis import GenerationMode

from sottovoce.errors import Kind
from sottovoce.web.docs.additions import ADDITIONS
from sottovoce.web.docs.openai_answers import OpenAiErrorResponse
from sottovoce.web.docs.openai_operations import OPENAI
from sottovoce.web.docs.operations import OPERATIONS
from sottovoce.wire.v2.errors import OUTSIDE_THE_LIST, PUBLISHED, V2
from tests.examples import SEARCH, examples
from tests.servers import Server

pytestmark = pytest.mark.system

EXAMPLES = examples(60)
AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
SILENCE = (AUDIO / "silence.wav").read_bytes()
EVERYTHING: dict[str, Any] = {
    "type": "transcription",
    "transcription_config": {
        "language": "en", "operating_point": "standard", "output_locale": "en-US", "diarization": "channel", "enable_entities": True,
        "channel_diarization_labels": ["Agent", "Caller"], "additional_vocab": [{"content": "gnocchi", "sounds_like": ["nyohki"]}, "a"],
        "punctuation_overrides": {"sensitivity": 0.4, "permitted_marks": [".", ","]}, "audio_filtering_config": {"volume_threshold": 3},
        "transcript_filtering_config": {"remove_disfluencies": True, "replacements": [{"from": "/a/", "to": "b"}]},
        "speaker_diarization_config": {
            "speaker_sensitivity": 0.5, "prefer_current_speaker": True, "get_speakers": True,
            "speakers": [{"label": "Ada", "speaker_identifiers": ["x"]}],
        },
        "max_delay": 2,
    },
    "output_config": {"srt_overrides": {"max_line_length": 30, "max_lines": 1}},
    "translation_config": {"target_languages": ["en"]}, "summarization_config": {"summary_type": "bullets"},
    "sentiment_analysis_config": {}, "topic_detection_config": {"topics": ["music"]}, "auto_chapters_config": {},
    "tracking": {"title": "t", "reference": "r", "tags": ["a"], "details": {"any": [1, {"x": 2}]}},
}  # fmt: skip
OUTSIDE = {V2[kind][1] for kind in OUTSIDE_THE_LIST}
PATHS = [(operation.method, f"/v2{operation.path}") for operation in (*OPERATIONS, *ADDITIONS)]
OPENAI_PATHS = [(operation.method, f"/v1{operation.path}") for operation in OPENAI]
PATHS += [("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/metrics")]
CALM = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=not SEARCH,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("fuzz")
    with Server(
        home, SOTTOVOCE_MAX_UPLOAD_BYTES="1000000", SOTTOVOCE_DEFAULT_WAIT="0", SOTTOVOCE_MAX_WAIT="0"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def done(server):
    """A job that is there to be asked for."""
    job_id = server.submit(AUDIO / "speech_8k.wav")
    server.wait(job_id)
    return job_id


@pytest.fixture(scope="module")
def aligned(server):
    """One with a text."""
    files = {
        "config": (None, '{"type":"alignment","alignment_config":{"language":"en"}}'),
        "data_file": ("a.wav", (AUDIO / "speech_8k.wav").read_bytes()),
        "text_file": ("a.txt", b"Nothing that you say will leave this room."),
    }
    with server.client() as client:
        job_id = client.post("/v2/jobs", files=files).json()["id"]
    assert server.wait(job_id)["status"] == "done"
    return job_id


@pytest.fixture(scope="module")
def description(server):
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def check(answer: schemathesis.Response) -> None:
    """A success, or the contract's error."""
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        return
    assert answer.headers["content-type"] == ["application/json"]
    body = json.loads(answer.content)
    assert {"code", "error"} <= set(body) <= {"code", "error", "detail"}
    assert body["code"] == answer.status_code
    assert body["error"] in PUBLISHED | OUTSIDE or answer.status_code == V2[Kind.INVALID_QUERY][0]
    assert len(answer.headers["request-id"][0]) == 32


def check_openai(answer: schemathesis.Response) -> None:
    """A success, or an error of OpenAI's API."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        OpenAiErrorResponse.model_validate_json(answer.content)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("wanted", OPENAI_PATHS, ids=" ".join)
def test_no_request_of_openais_api_meets_a_fault_of_ours(server, description, wanted, mode):
    method, path = wanted
    statuses = set()

    @CALM
    @hypothesis.given(case=description[path][method].as_strategy(generation_mode=mode))
    def attempt(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {server.key}"})
        statuses.add(answer.status_code)
        check_openai(answer)

    if mode is GenerationMode.NEGATIVE and method == "GET":
        return  # they take nothing that could be wrong
    attempt()
    assert statuses


def requests() -> Iterator[tuple[str, str, GenerationMode]]:
    for method, path in PATHS:
        yield method, path, GenerationMode.POSITIVE
        if path.startswith("/v2"):  # the others take nothing that could be wrong
            yield method, path, GenerationMode.NEGATIVE


@pytest.mark.parametrize("wanted", list(requests()), ids=lambda wanted: " ".join(map(str, wanted)))
def test_no_request_meets_a_fault_of_ours(server, description, done, aligned, wanted):
    method, path, mode = wanted
    job_id = aligned if path.endswith(("/text", "/alignment")) else done
    statuses = set()

    @CALM
    @hypothesis.given(case=description[path][method].as_strategy(generation_mode=mode), known=st.booleans())
    def attempt(case: Any, known: bool) -> None:
        if known and "job_id" in case.path_parameters and method != "DELETE":
            case.path_parameters["job_id"] = job_id
        answer = case.call(headers={"Authorization": f"Bearer {server.key}"})
        statuses.add(answer.status_code)
        check(answer)

    attempt()
    assert statuses
    if path.endswith("/retry"):  # the job has no notification
        assert 404 in statuses
    elif "{job_id}" in path and method != "DELETE" and mode is GenerationMode.POSITIVE:
        assert 200 in statuses


def places(tree: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to everything inside *tree*."""
    for name, child in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*way, name)
        yield from places(child, (*way, name))


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(["en", "all", "S1", "/(a+)+$/", "/(/"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)


def test_no_config_meets_a_fault_of_ours(server):
    statuses: list[int] = []

    @CALM
    @hypothesis.given(way=st.sampled_from(list(places(EVERYTHING))), value=VALUES)
    def attempt(way: tuple[str | int, ...], value: Any) -> None:
        config = json.loads(json.dumps(EVERYTHING))
        inner = config
        for step in way[:-1]:
            inner = inner[step]
        inner[way[-1]] = value
        text = json.dumps(config, ensure_ascii=False).encode("utf-8", "surrogatepass")
        answer = client.post("/v2/jobs", files={"config": (None, text), "data_file": ("a.wav", SILENCE)})
        statuses.append(answer.status_code)
        assert answer.status_code in {201, 400}, answer.text
        if answer.status_code == 400:
            assert answer.json()["error"] == "Job rejected"
        else:
            accepted.append(answer.json()["id"])

    accepted: list[str] = []
    with server.client() as client:
        attempt()
        assert set(statuses) == {201, 400}
        for job_id in accepted:
            assert server.wait(job_id)["status"] in {"done", "rejected"}
            for form in ("json-v2", "txt", "srt", "vtt"):
                assert client.get(f"/v2/jobs/{job_id}/transcript", params={"format": form}).status_code in {200, 404}


def test_the_server_lives_and_has_no_fault_to_tell(server):
    with server.client() as client:
        assert client.get("/health/ready").json()["ready"] is True
    assert [line for line in server.lines() if line["level"] in {"error", "critical"} or "error" in line] == []
