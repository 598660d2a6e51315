"""The fields of OpenAI's forms: what is understood, what is refused, and the job that follows."""

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.request import Diarization, OperatingPoint, TranscriptionRequest
from sottovoce.wire.openai_audio import form, models
from sottovoce.wire.openai_audio.form import AudioRequest, Spoken
from sottovoce.wire.openai_audio.languages import contract_language, english_name
from sottovoce.wire.v2.config import parse_job_config
from tests.unit.wire.openai_audio.values import parsed

MANY = Spoken(transcribed=("de", "en", "fr"), identifies=True)
ENGLISH = Spoken(transcribed=("en",), identifies=False)


def job(
    asked: AudioRequest, spoken: Spoken = MANY, installed: tuple[str, ...] = ("whisper-base",)
) -> TranscriptionRequest:
    import orjson

    chosen = models.chosen(asked.model, installed)
    request = parse_job_config(orjson.dumps(form.job_config(asked, chosen, spoken)))
    assert isinstance(request, TranscriptionRequest)
    return form.completed(request, asked, chosen, spoken)


def test_a_plain_request() -> None:
    asked = parsed()
    assert asked == AudioRequest(model="whisper-1")
    request = job(asked)
    assert (request.language, request.operating_point) == ("auto", OperatingPoint.ENHANCED)
    assert request.language_identification is not None
    assert request.language_identification.default_language == "en"
    assert not request.report_stretches
    assert not request.translate_speech


def test_everything_that_is_understood() -> None:
    asked = parsed(
        model="whisper-base",
        language="French",
        response_format="verbose_json",
        stream="true",
        temperature="0.2",
        prompt="Sottovoce, ZyntriQix",
        lists={
            "timestamp_granularities[]": ["word", "segment"],
            "include[]": ["logprobs"],
            "keywords[]": ["Zentralbank", "Zentralbank"],
            "chunking_strategy": [],
        },
        chunking_strategy="auto",
        something_else="1",
    )
    assert asked == AudioRequest(
        model="whisper-base",
        language="fr",
        vocabulary=("Zentralbank", "ZyntriQix"),
        response_format="verbose_json",
        words=True,
        segments=True,
        stream=True,
    )
    request = job(asked)
    assert request.model == "whisper-base"
    assert request.report_stretches
    assert [entry.content for entry in request.additional_vocab] == ["Zentralbank", "ZyntriQix"]


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"model": ""}, "model"),
        ({"response_format": "xml"}, "response_format"),
        ({"temperature": "2"}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"stream": "maybe"}, "stream"),
        ({"language": "../etc"}, "language"),
        ({"language": "x" * 2000}, "language"),
        ({"model": "a\0b"}, "model"),
        ({"lists": {"timestamp_granularities[]": ["line"]}}, "timestamp_granularities[]"),
        ({"lists": {"timestamp_granularities[]": ["word"]}}, "timestamp_granularities[]"),  # without verbose_json
        ({"lists": {"known_speaker_names[]": ["Ada"]}}, "known_speaker_names[]"),
        ({"lists": {"languages[]": ["en"] * 21}}, "languages[]"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, object], at: str) -> None:
    with pytest.raises(Refused) as caught:
        parsed(**fields)  # type: ignore[arg-type]
    assert caught.value.at == at


def test_text_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(Refused):
        form.parse({"model": b"\xff"}, {}, translate=False)


def test_a_translation_has_no_speakers_no_stream_and_no_custom_words() -> None:
    with pytest.raises(Refused):
        parsed(translate=True, response_format="diarized_json")
    asked = parsed(translate=True, stream="true", prompt="ZyntriQix")
    assert (asked.stream, asked.vocabulary) == (False, ())
    assert job(asked).translate_speech


def test_the_only_language_is_not_identified() -> None:
    assert job(parsed(), ENGLISH).language == "en"
    assert job(parsed(lists={"languages[]": ["de"]})).language == "de"
    both = job(parsed(lists={"languages[]": ["de", "fr", "xx"]}))
    assert both.language == "auto"
    assert both.language_identification is not None
    assert both.language_identification.expected_languages == ("de", "fr")


def test_a_server_without_languages_makes_no_fault() -> None:
    request = job(parsed(translate=True), Spoken(transcribed=(), identifies=False))
    assert request.language == "auto"


def test_speakers_are_found_for_the_model_and_for_the_format() -> None:
    assert job(parsed(model=models.DIARIZE)).diarization is Diarization.SPEAKER
    assert job(parsed(response_format="diarized_json")).diarization is Diarization.SPEAKER
    assert job(parsed()).diarization is Diarization.NONE


def test_models() -> None:
    assert models.chosen("gpt-4o-mini-transcribe", ()).operating_point is OperatingPoint.STANDARD
    assert models.chosen("whisper-base", ["whisper-base"]).name == "whisper-base"
    with pytest.raises(Refused) as caught:
        models.chosen("whisper-large", ["whisper-base"])
    assert caught.value.kind is Kind.MODEL_NOT_FOUND
    assert models.DIARIZE not in models.listed((), diarizes=False)
    assert models.listed(["whisper-base"], diarizes=True)[-1] == "whisper-base"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("en", "en"),
        ("en-US", "en"),
        ("pt_BR", "pt"),
        ("zh", "cmn"),
        ("Chinese", "cmn"),
        ("german", "de"),
        ("yue", "yue"),
        ("xx", "xx"),
    ],
)
def test_languages_by_code_and_name(given: str, code: str) -> None:
    assert contract_language(given) == code


def test_names_of_languages() -> None:
    assert [english_name(code) for code in ("en", "cmn", "de")] == ["english", "chinese", "german"]
