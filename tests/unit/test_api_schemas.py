"""The API reference describes the API: every option of a job and every answer, as the code has them."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from sottovoce.web.docs import job_options, schemas
from sottovoce.web.docs.addition_answers import ADDITION_ANSWERS
from sottovoce.web.docs.answers import ANSWERS, Transcript
from sottovoce.web.docs.openai_answers import OPENAI_ANSWERS
from sottovoce.web.docs.openapi import ALL_OPERATIONS, openapi
from sottovoce.web.workspace.answers import WORKSPACE_ANSWERS
from sottovoce.wire.v2 import config
from sottovoce.wire.v2.config_schema import JobConfig

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/expected.json"))
FIRST = {"type": "transcription", "transcription_config": {"language": "en"}}


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [each for part in value.values() for each in references(part)]
    return [each for part in value for each in references(part)] if isinstance(value, list) else []


def test_every_option_of_a_job_has_its_line_and_no_line_is_left_over() -> None:
    schema = JobConfig.model_json_schema(by_alias=True)
    assert sorted(job_options.paths(schema, schema["$defs"])) == sorted(job_options.BY_PATH)


def test_the_page_is_what_the_table_makes() -> None:
    page = (ROOT / "docs" / "job-options.md").read_text(encoding="utf-8")
    assert page == job_options.markdown(), "run: python -m sottovoce.web.docs.job_options > docs/job-options.md"


@pytest.mark.parametrize(
    "option", [each for each in job_options.OPTIONS if "." not in each.path], ids=lambda each: each.path
)
def test_the_example_of_a_top_level_option_is_valid(option: job_options.Option) -> None:
    """As a whole config: the models accept it."""
    JobConfig.model_validate(FIRST | {option.name: option.example}, strict=True)


@pytest.mark.parametrize("option", job_options.OPTIONS, ids=lambda each: each.path)
def test_an_option_is_described(option: job_options.Option) -> None:
    assert re.match(r"[A-Z0-9`].*\.$", option.meaning), option.meaning


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
    TypeAdapter(Transcript).validate_json(path.read_bytes())


def test_rules_are_in_the_schema() -> None:
    found = schemas.components()
    options = found["TranscriptionConfig"]["properties"]
    assert options["diarization"]["enum"] == ["none", "speaker", "channel"]
    assert "Default: `none`." in options["diarization"]["description"]
    assert options["additional_vocab"]["maxItems"] == 1000
    assert found["SrtOverrides"]["properties"]["max_lines"]["minimum"] == 1
    assert found["SpeakerDiarizationConfig"]["properties"]["speaker_sensitivity"]["maximum"] == 1


def test_a_config_of_examples_is_accepted() -> None:
    examples = {
        option.name: option.example
        for option in job_options.OPTIONS
        if re.fullmatch(r"transcription_config\.\w+(\[\])?", option.path)
        and option.name not in {"domain", "operating_point"}
    }
    parsed = config.parse_job_config(
        TypeAdapter(Any).dump_json({"type": "transcription", "transcription_config": examples | {"language": "cmn"}})
    )
    assert parsed.language == "cmn"
