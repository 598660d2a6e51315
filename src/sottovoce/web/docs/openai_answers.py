"""The bodies of JSON answers and errors of OpenAI's audio API, as models, like those of `answers.py`."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from sottovoce.web.docs.answer import Answer


class AudioUsage(Answer):
    """What the request took."""

    type: Literal["duration"]
    seconds: float = Field(description="Length of the media.")


class AudioText(Answer):
    """`response_format` json."""

    text: str
    usage: AudioUsage | None = None


class AudioSegment(Answer):
    """A sentence, or a part of one. Members that the recogniser does not tell have the value of an ordinary segment."""

    id: int
    seek: int = Field(description="Start in steps of 10 ms.")
    start: float
    end: float
    text: str
    tokens: list[int] = Field(description="Always empty.")
    temperature: float = Field(description="Always 0.")
    avg_logprob: float = Field(description="Mean logarithm of the confidence of its words.")
    compression_ratio: float
    no_speech_prob: float = Field(description="Always 0: segments are found where there is speech.")


class AudioWord(Answer):
    """A word with its times in seconds."""

    word: str
    start: float
    end: float


class AudioVerbose(Answer):
    """`response_format` verbose_json."""

    task: Literal["transcribe", "translate"]
    language: str = Field(description="English name in lower case, `french`; of a translation `english`.")
    duration: float
    text: str
    segments: list[AudioSegment] | None = None
    words: list[AudioWord] | None = None
    usage: AudioUsage | None = None


class AudioTurn(Answer):
    """What one speaker says without a break."""

    type: Literal["transcript.text.segment"]
    id: str
    start: float
    end: float
    text: str
    speaker: str = Field(description="`A`, `B`, …, or `unknown`.")


class AudioDiarized(Answer):
    """`response_format` diarized_json."""

    task: Literal["transcribe"]
    duration: float
    text: str
    segments: list[AudioTurn]
    usage: AudioUsage


class AudioTranscription(Answer):
    """The answer in the requested `response_format`; the members depend on it."""

    text: str
    task: Literal["transcribe", "translate"] | None = None
    language: str | None = None
    duration: float | None = None
    segments: list[AudioSegment | AudioTurn] | None = None
    words: list[AudioWord] | None = None
    usage: AudioUsage | None = None


class OpenAiModel(Answer):
    """A model that requests may name."""

    id: str
    object: Literal["model"]
    created: int = Field(description="Always 0: not known.")
    owned_by: str


class OpenAiModels(Answer):
    """The models that requests may name."""

    object: Literal["list"]
    data: list[OpenAiModel]


class OpenAiFault(Answer):
    """What is wrong, and the parameter that it concerns."""

    message: str
    type: str
    param: str | None = Field(description="Null if no parameter is concerned.")
    code: str | None


class OpenAiErrorResponse(Answer):
    """An error of OpenAI's API; the request id is in the header `Request-Id`."""

    error: OpenAiFault


OPENAI_ANSWERS: Mapping[str, Any] = {
    "openai_transcribe": AudioTranscription,
    "openai_translate": AudioTranscription,
    "openai_models": OpenAiModels,
    "openai_model": OpenAiModel,
}
"""The type of the JSON answer of each operation that has one, by the operation's id."""
