"""Every error has a status and all four members."""

import pytest

from sottovoce.errors import Busy, Kind, Refused
from sottovoce.web import responses
from sottovoce.web.docs.openai_answers import OpenAiErrorResponse
from sottovoce.wire.openai_audio import errors
from sottovoce.wire.v1 import errors as v1_errors


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind(kind: Kind) -> None:
    status, body = errors.openai_error(Refused(kind))
    assert 400 <= status < 600
    OpenAiErrorResponse.model_validate(body)
    assert body["error"]["message"]


@pytest.mark.parametrize(
    ("at", "param"),
    [
        ("transcription_config.language", "language"),
        ("transcription_config.additional_vocab[3].content", "prompt"),
        ("data_file", "file"),
        ("temperature", "temperature"),
        (None, None),
    ],
)
def test_members_of_v2_are_named_as_parameters(at: str | None, param: str | None) -> None:
    body = errors.openai_error(Refused(Kind.INVALID_CONFIG, "is wrong", at=at))[1]
    assert body["error"]["param"] == param
    assert body["error"]["message"] == (f"{param}: is wrong" if param else "is wrong")


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/v1/audio/transcriptions", True),
        ("/v1/audio", True),
        ("/v1/models", True),
        ("/v1/models/a", True),
        ("/v1/modelsx", False),
        ("/v1/user/1/jobs", False),
        ("/v1.0/models", False),
        ("/v2/jobs", False),
    ],
)
def test_which_paths_are_of_this_api(path: str, ours: bool) -> None:
    assert errors.speaks(path) is ours
    assert not (ours and v1_errors.speaks(path))


def test_a_busy_server_says_when_to_try_again() -> None:
    answer = responses.refusal_of("/v1/audio/transcriptions", Busy("full", after=7))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert responses.internal_error_of("/v1/models").status_code == 500
