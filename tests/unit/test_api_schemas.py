"""The API reference describes the API: every option of a job and every answer, as the code has them."""

import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter

from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.job import State
from sottovoce.transcript.model import StageResult, Transcript
from sottovoce.web.docs import schemas
from sottovoce.web.docs import transcript_answers as answers
from sottovoce.web.docs.addition_answers import ADDITION_ANSWERS
from sottovoce.web.docs.answers import ANSWERS, CreateJobResponse
from sottovoce.web.docs.openai_answers import OPENAI_ANSWERS
from sottovoce.web.docs.openapi import ALL_OPERATIONS, openapi
from sottovoce.web.workspace.answers import WORKSPACE_ANSWERS
from sottovoce.wire.config_options import optional, options
from sottovoce.wire.config_values import Part
from sottovoce.wire.formats import json_v2
from sottovoce.wire.formats.json_v2 import Source
from sottovoce.wire.formats.table import FORMATS
from sottovoce.wire.v2 import config
from sottovoce.wire.v2.config_schema import JobConfig
from sottovoce.wire.v2.job import JobView

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/expected.json"))
OPTIONS = dict(options(JobConfig))
FIRST = {"type": "transcription", "transcription_config": {"language": "en"}}


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [each for part in value.values() for each in references(part)]
    return [each for part in value for each in references(part)] if isinstance(value, list) else []


def test_a_member_without_a_text_is_found() -> None:
    class Inner(Part):
        silent: bool | None = None

    class Outer(Part):
        told: Annotated[list[Inner], Field(max_length=3)] | None = optional("Told.", example=[])

    with pytest.raises(TypeError, match=r"^Inner\.silent is declared without"):
        list(options(Outer))


def test_paths_name_lists_and_aliases() -> None:
    paths = dict(options(JobConfig))
    assert {"type", "notification_config[].contents[]", "transcription_config.additional_vocab[].sounds_like[]"} <= set(
        paths
    )
    assert "transcription_config.transcript_filtering_config.replacements[].from" in paths
    assert paths["fetch_text.url"].example.endswith(".txt")
    assert paths["fetch_data.url"].example.endswith(".mp3")


@pytest.mark.parametrize("path", [path for path in OPTIONS if "." not in path])
def test_the_example_of_a_top_level_option_is_valid(path: str) -> None:
    """As a whole config: the models accept it."""
    JobConfig.model_validate(FIRST | {path.removesuffix("[]"): OPTIONS[path].example}, strict=True)


@pytest.mark.parametrize("path", OPTIONS)
def test_an_option_is_described(path: str) -> None:
    assert re.match(r"[A-Z0-9`].*\.$", OPTIONS[path].meaning), OPTIONS[path].meaning


def test_every_reference_of_the_document_has_its_schema() -> None:
    document = openapi()
    for name in references(document):
        assert name.rpartition("/")[2] in document["components"]["schemas"], name


def test_every_operation_that_answers_with_json_has_a_schema() -> None:
    for operation in ALL_OPERATIONS:
        if any(kind.endswith("json") for kind in operation.media_types):
            assert schemas.answer(operation.id), operation.id


def test_no_answer_is_left_over() -> None:
    ids = {operation.id for operation in ALL_OPERATIONS}
    assert set(ANSWERS) | set(ADDITION_ANSWERS) | set(OPENAI_ANSWERS) | set(WORKSPACE_ANSWERS) <= ids


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_transcripts_are_as_described(path: Path) -> None:
    TypeAdapter(answers.Transcript).validate_json(path.read_bytes())


def test_every_stage_is_in_the_reference() -> None:
    values: dict[StageName, Any] = {StageName.AUDIO_EVENTS: {"events": [], "summary": {}}}
    results = tuple(StageResult(name=stage.name, value=values.get(StageName(stage.name), [])) for stage in STAGES)
    view = JobView(id="a", state=State.DONE, created_at=0, data_name="", duration_ms=0, config={})
    body = json_v2.render(
        Source(transcript=Transcript(language="en", duration=0, created_at=0, results=results), job=view, version="")
    )
    assert set(body) | {"speakers"} == set(answers.Transcript.model_fields)
    listed = {stage.feature or stage.name for stage in STAGES if stage.name != StageName.TRANSLATION}
    assert listed == set(answers.StageLists.model_fields)


def test_every_format_that_an_answer_may_contain_is_in_the_reference() -> None:
    members = {field.alias or name for name, field in CreateJobResponse.model_fields.items()}
    assert members == {"id", "status"} | {each.name for each in FORMATS.values() if not each.is_binary}


def test_rules_are_in_the_schema() -> None:
    found = schemas.components()
    options = found["TranscriptionConfig"]["properties"]
    assert options["diarization"]["enum"] == ["none", "speaker", "channel"]
    assert "Default: `none`." in options["diarization"]["description"]
    assert options["additional_vocab"]["maxItems"] == 1000
    assert found["SrtOverrides"]["properties"]["max_lines"]["minimum"] == 1
    assert found["SpeakerDiarizationConfig"]["properties"]["speaker_sensitivity"]["maximum"] == 1


def test_a_config_of_examples_is_accepted() -> None:
    inner = {
        path: option for path, option in OPTIONS.items() if re.fullmatch(r"transcription_config\.\w+(\[\])?", path)
    }
    examples = {path.partition(".")[2].removesuffix("[]"): option.example for path, option in inner.items()}
    for unknown in ("domain", "operating_point"):
        del examples[unknown]
    parsed = config.parse_job_config(
        TypeAdapter(Any).dump_json({"type": "transcription", "transcription_config": examples | {"language": "cmn"}})
    )
    assert parsed.language == "cmn"
