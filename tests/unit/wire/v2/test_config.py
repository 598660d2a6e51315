import importlib
import json
import random
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.errors import Kind, Refused
from sottovoce.request import (
    AlignmentRequest,
    AudioFiltering,
    Diarization,
    Fetch,
    KnownSpeaker,
    LanguageIdentification,
    Notification,
    OperatingPoint,
    PunctuationOverrides,
    Replacement,
    SpeakerDiarization,
    SubtitleLimits,
    Summarization,
    Tracking,
    TranscriptionRequest,
    VocabEntry,
)
from sottovoce.wire.config_values import Part
from sottovoce.wire.v2.config import parse_job_config
from tests.examples import examples

HOOK = "https://example.org/hook"


def parse(config: Any) -> Any:
    return parse_job_config(json.dumps(config).encode())


def job(**top: Any) -> dict[str, Any]:
    return {"type": "transcription", "transcription_config": {"language": "en"}, **top}


def tc(**members: Any) -> dict[str, Any]:
    return job(transcription_config={"language": "en", **members})


def align(**top: Any) -> dict[str, Any]:
    return {"type": "alignment", "alignment_config": {"language": "en"}, **top}


def lid(**members: Any) -> dict[str, Any]:
    return job(transcription_config={"language": "auto"}, language_identification_config=members)


IDENTIFIERS = tuple(str(number) for number in range(50))
"""As many as a request may have."""


def speaker(**members: Any) -> dict[str, Any]:
    return tc(speaker_diarization_config={"speakers": [{"label": "Ada", "speaker_identifiers": ["x"], **members}]})


def request(config: Any) -> TranscriptionRequest:
    asked = parse(config)
    assert isinstance(asked, TranscriptionRequest)
    return asked


# --- what is accepted ------------------------------------------------------------------------------------------------


def test_least_config_gets_every_default() -> None:
    assert parse(job()) == TranscriptionRequest(language="en")
    assert parse(align()) == AlignmentRequest(language="en")


def test_everything_at_once() -> None:
    config = {
        "type": "transcription",
        "fetch_data": {
            "url": "https://u:p@example.org:8443/a.wav?sig=1",
            "auth_headers": ["Authorization: Bearer x=="],
        },
        "transcription_config": {
            "language": "en",
            "domain": "medical",
            "output_locale": "en-GB",
            "model": "enhanced",
            "additional_vocab": [{"content": "gnocchi", "sounds_like": ["nyohki", "nokey"]}, "Sottovoce"],
            "punctuation_overrides": {"sensitivity": 0.25, "permitted_marks": [".", ","]},
            "diarization": "speaker",
            "channel_diarization_labels": ["Agent", "Caller_1"],
            "enable_entities": True,
            "max_delay": 2,
            "max_delay_mode": "flexible",
            "enable_partials": True,
            "audio_filtering_config": {"volume_threshold": 3.4},
            "transcript_filtering_config": {
                "remove_disfluencies": True,
                "replacements": [{"from": "foo", "to": "bar"}, {"from": "/(/", "to": ""}],
            },
            "speaker_diarization_config": {
                "speaker_sensitivity": 1,
                "prefer_current_speaker": True,
                "get_speakers": True,
                "speakers": [{"label": "Ada", "speaker_identifiers": ["a", "b"]}],
            },
            "language_hints": ["en", "de", "en"],
            "language_hints_strict": False,
        },
        "notification_config": [{"url": HOOK, "contents": ["jobinfo", "data", "jobinfo"], "method": "put"}],
        "tracking": {"title": "T", "reference": "R", "tags": ["x", "x"], "details": {"a": [None, {"b": 1.5}]}},
        "output_config": {"srt_overrides": {"max_line_length": 40, "max_lines": 3.0}, "generate_lattice": False},
        "translation_config": {"target_languages": ["de", "fr", "de"], "enable_partials": True},
        "summarization_config": {
            "content_type": "informative",
            "summary_length": "detailed",
            "summary_type": "paragraphs",
        },
        "sentiment_analysis_config": {"enable_sentiment": True},
        "topic_detection_config": {"topics": [f"t{n}" for n in range(12)]},
        "auto_chapters_config": {"enable_chapters": True},
        "audio_events_config": {"types": ["music", "laughter", "music"]},
    }
    assert parse(config) == TranscriptionRequest(
        language="en",
        operating_point=OperatingPoint.ENHANCED,
        domain="medical",
        output_locale="en-GB",
        additional_vocab=(
            VocabEntry(content="gnocchi", sounds_like=("nyohki", "nokey")),
            VocabEntry(content="Sottovoce"),
        ),
        punctuation=PunctuationOverrides(sensitivity=0.25, permitted_marks=frozenset({".", ","})),
        diarization=Diarization.SPEAKER,
        channel_labels=("Agent", "Caller_1"),
        enable_entities=True,
        audio_filtering=AudioFiltering(volume_threshold=3.4),
        remove_disfluencies=True,
        replacements=(Replacement(source="foo", target="bar"), Replacement(source="/(/", target="")),
        speaker_diarization=SpeakerDiarization(
            speaker_sensitivity=1.0,
            prefer_current_speaker=True,
            get_speakers=True,
            speakers=(KnownSpeaker(label="Ada", speaker_identifiers=("a", "b")),),
        ),
        language_hints=("en", "de"),
        subtitles=SubtitleLimits(max_line_length=40, max_lines=3),
        translation_targets=("de", "fr"),
        summarization=Summarization(content_type="informative", summary_length="detailed", summary_type="paragraphs"),
        sentiment_analysis=True,
        topics=tuple(f"t{n}" for n in range(12)),
        auto_chapters=True,
        audio_events=("music", "laughter"),
        fetch_data=Fetch(url="https://u:p@example.org:8443/a.wav?sig=1", auth_headers=("Authorization: Bearer x==",)),
        notifications=(Notification(url=HOOK, contents=("jobinfo", "data"), method="put"),),
        tracking=Tracking(title="T", reference="R", tags=("x", "x")),
    )


ALL_MARKS = None
# fmt: off
GOOD: list[tuple[Any, str, Any]] = [
    (tc(language="zz"), "language", "zz"),  # whether it is available is for later
    (tc(language="cmn_en_ms_ta"), "language", "cmn_en_ms_ta"),
    (tc(language="a" * 32), "language", "a" * 32),
    (tc(operating_point="enhanced"), "operating_point", OperatingPoint.ENHANCED),
    (tc(model="enhanced", operating_point="standard"), "operating_point", OperatingPoint.ENHANCED),
    (tc(model="standard", operating_point="melia-1"), "operating_point", OperatingPoint.STANDARD),
    (tc(model=None, operating_point="enhanced"), "operating_point", OperatingPoint.ENHANCED),
    (tc(language="es", domain="bilingual-en"), "domain", "bilingual-en"),
    (tc(language="cmn", output_locale="cmn-Hant"), "output_locale", "cmn-Hant"),
    (tc(language="cmn_en", output_locale="cmn-Hans"), "output_locale", "cmn-Hans"),
    (tc(language="en_ms", output_locale="en-AU"), "output_locale", "en-AU"),
    (tc(additional_vocab=[]), "additional_vocab", ()),
    (tc(additional_vocab=["a"] * 1000), "additional_vocab", (VocabEntry(content="a"),) * 1000),
    (tc(additional_vocab=["a b c d e f g", "a b c d e f"]), "additional_vocab", (VocabEntry(content="a b c d e f"),)),
    (tc(additional_vocab=["x" * 4001, "x" * 4000]), "additional_vocab", (VocabEntry(content="x" * 4000),)),
    (tc(additional_vocab=["a " + "x" * 4001, "", "  "]), "additional_vocab", ()),
    (tc(additional_vocab=[" two  words\n"]), "additional_vocab", (VocabEntry(content="two words"),)),
    (tc(additional_vocab=[{"content": "k", "sounds_like": ["a b c d e f g", "kay", "x" * 4001, "", "kay"]}]), "additional_vocab", (VocabEntry(content="k", sounds_like=("kay",)),)),
    (tc(additional_vocab=[{"content": "k", "sounds_like": None}]), "additional_vocab", (VocabEntry(content="k"),)),
    (tc(punctuation_overrides={}), "punctuation", PunctuationOverrides()),
    (tc(punctuation_overrides={"permitted_marks": None}), "punctuation", PunctuationOverrides(permitted_marks=None)),
    (tc(punctuation_overrides={"permitted_marks": []}), "punctuation", PunctuationOverrides(permitted_marks=frozenset())),
    (tc(punctuation_overrides={"permitted_marks": ["all"]}), "punctuation", PunctuationOverrides(permitted_marks=ALL_MARKS)),
    (tc(punctuation_overrides={"permitted_marks": [".", "all"]}), "punctuation", PunctuationOverrides(permitted_marks=ALL_MARKS)),
    (tc(punctuation_overrides={"permitted_marks": "all"}), "punctuation", PunctuationOverrides(permitted_marks=ALL_MARKS)),
    (tc(punctuation_overrides={"permitted_marks": ["।", "𝄞"]}), "punctuation", PunctuationOverrides(permitted_marks=frozenset("।𝄞"))),
    (tc(punctuation_overrides={"sensitivity": 0}), "punctuation", PunctuationOverrides(sensitivity=0.0)),
    (tc(diarization="channel"), "diarization", Diarization.CHANNEL),
    (tc(diarization=None), "diarization", Diarization.NONE),
    (tc(channel_diarization_labels=["a"] * 100), "channel_labels", ("a",) * 100),
    (tc(channel_diarization_labels=None), "channel_labels", ()),
    (tc(audio_filtering_config={}), "audio_filtering", AudioFiltering(volume_threshold=0.0)),
    (tc(audio_filtering_config={"volume_threshold": 100}), "audio_filtering", AudioFiltering(volume_threshold=100.0)),
    (tc(audio_filtering_config=None), "audio_filtering", None),
    (tc(transcript_filtering_config={"replacements": None}), "replacements", ()),
    (speaker(label="s1"), "speaker_diarization.speakers", (KnownSpeaker(label="s1", speaker_identifiers=("x",)),)),
    (speaker(label="S1 Ada"), "speaker_diarization.speakers", (KnownSpeaker(label="S1 Ada", speaker_identifiers=("x",)),)),
    (speaker(label="__AGENT__"), "speaker_diarization.speakers", (KnownSpeaker(label="__AGENT__", speaker_identifiers=("x",)),)),
    (speaker(label="S"), "speaker_diarization.speakers", (KnownSpeaker(label="S", speaker_identifiers=("x",)),)),
    (speaker(speaker_identifiers=list(IDENTIFIERS)), "speaker_diarization.speakers", (KnownSpeaker(label="Ada", speaker_identifiers=IDENTIFIERS),)),
    (tc(speaker_diarization_config={"speakers": []}), "speaker_diarization.speakers", ()),
    (tc(speaker_diarization_config={"speakers": None, "get_speakers": None}), "speaker_diarization", SpeakerDiarization()),
    (tc(speaker_diarization_config={"max_speakers": "?"}), "speaker_diarization", SpeakerDiarization()),
    (tc(speaker_diarization_config={"speaker_sensitivity": 0.0}), "speaker_diarization.speaker_sensitivity", 0.0),
    (tc(language="auto"), "language_identification", LanguageIdentification()),
    (lid(expected_languages=["en", "de", "en"]), "language_identification.expected_languages", ("en", "de")),
    (lid(low_confidence_action="allow"), "language_identification.low_confidence_action", "allow"),
    (lid(low_confidence_action="use_default_language", default_language="fr"), "language_identification", LanguageIdentification(low_confidence_action="use_default_language", default_language="fr")),
    (job(language_identification_config={"expected_languages": ["de"]}), "language_identification", None),
    (job(translation_config={"target_languages": []}), "translation_targets", ()),
    (job(summarization_config={}), "summarization", Summarization()),
    (job(summarization_config=None), "summarization", None),
    (job(sentiment_analysis_config={}), "sentiment_analysis", True),
    (job(sentiment_analysis_config=None), "sentiment_analysis", False),
    (job(sentiment_analysis_config={"enable_sentiment": False}), "sentiment_analysis", False),
    (job(auto_chapters_config={}), "auto_chapters", True),
    (job(auto_chapters_config={"enable_chapters": False}), "auto_chapters", False),
    (job(topic_detection_config={}), "topics", ()),
    (job(topic_detection_config={"topics": []}), "topics", ()),
    (job(), "topics", None),
    (job(audio_events_config={}), "audio_events", ()),
    (job(audio_events_config={"types": None}), "audio_events", ()),
    (job(), "audio_events", None),
    (job(output_config={}), "subtitles", SubtitleLimits()),
    (job(output_config={"srt_overrides": {"max_lines": 1}}), "subtitles", SubtitleLimits(max_lines=1)),
    (job(notification_config={"url": HOOK}), "notifications", (Notification(url=HOOK),)),
    (job(notification_config=[{"url": HOOK, "contents": []}]), "notifications", (Notification(url=HOOK, contents=()),)),
    (job(notification_config=[{"url": HOOK, "contents": None, "method": None}]), "notifications", (Notification(url=HOOK),)),
    (job(notification_config=[{"url": HOOK}] * 3), "notifications", (Notification(url=HOOK),) * 3),
    (job(notification_config=[]), "notifications", ()),
    (job(fetch_data={"url": "HTTP://[::1]:80/ä?x#y", "auth_headers": ["X:", "Y:\tz"]}), "fetch_data", Fetch(url="HTTP://[::1]:80/ä?x#y", auth_headers=("X:", "Y:\tz"))),
    (job(tracking={}), "tracking", Tracking()),
    (job(tracking={"title": "", "details": {}}), "tracking", Tracking(title="")),
    (job(tracking={"title": "\x1b\u202e😀"}), "tracking", Tracking(title="\x1b\u202e😀")),
    (job(unknown={"deep": [1, None]}), "language", "en"),
    (tc(conversation_config={"end_of_utterance_silence_trigger": 9}, streaming_mode=None, ctrl={}), "language", "en"),
]
# fmt: on


@pytest.mark.parametrize(("config", "field", "value"), GOOD, ids=[f"{i}-{f}" for i, (_, f, _) in enumerate(GOOD)])
def test_good_config_gives_the_value(config: Any, field: str, value: Any) -> None:
    found: Any = request(config)
    for name in field.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


def test_alignment_with_both_inputs_fetched() -> None:
    config = align(
        fetch_data={"url": "http://example.org/a.wav"},
        fetch_text={"url": "http://example.org/a.txt", "auth_headers": ["A: b"]},
        notification_config={"url": HOOK, "contents": ["alignment", "alignment.one_per_line"]},
        tracking={"reference": "r"},
        transcription_config=None,
    )
    assert parse(config) == AlignmentRequest(
        language="en",
        fetch_data=Fetch(url="http://example.org/a.wav"),
        fetch_text=Fetch(url="http://example.org/a.txt", auth_headers=("A: b",)),
        notifications=(Notification(url=HOOK, contents=("alignment", "alignment.one_per_line")),),
        tracking=Tracking(reference="r"),
    )


def test_byte_order_mark_and_repeated_members_are_tolerated() -> None:
    raw = b'\xef\xbb\xbf {"type":"alignment","type":"transcription","transcription_config":{"language":"de","language":"en"}}\n'
    assert parse_job_config(raw) == TranscriptionRequest(language="en")


def members(model: type[Part]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def test_null_for_any_optional_member_is_the_same_as_leaving_it_out() -> None:
    from sottovoce.wire.v2 import config_schema as models

    nulls: dict[str, Any] = dict.fromkeys(members(models.JobConfig))
    inner: dict[str, Any] = dict.fromkeys(members(models.TranscriptionConfig))
    config = {**nulls, "type": "transcription", "transcription_config": {**inner, "language": "en"}}
    assert parse(config) == TranscriptionRequest(language="en")
    parts: list[tuple[str, type[Part]]] = [
        ("punctuation_overrides", models.PunctuationConfig),
        ("transcript_filtering_config", models.TranscriptFilteringConfig),
        ("speaker_diarization_config", models.SpeakerDiarizationConfig),
    ]
    for name, model in parts:
        assert parse(tc(**{name: dict.fromkeys(members(model))})) == TranscriptionRequest(language="en")
    tops: list[tuple[str, type[Part]]] = [
        ("output_config", models.OutputConfig),
        ("language_identification_config", models.LanguageIdentificationConfig),
    ]
    for name, model in tops:
        assert parse(job(**{name: dict.fromkeys(members(model))})) == TranscriptionRequest(language="en")


def test_what_the_old_client_sends() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is deprecated
        old: Any = importlib.import_module("speechmatics.models")
    config = old.BatchTranscriptionConfig(
        "en",
        operating_point="enhanced",
        additional_vocab=["gnocchi", {"content": "CEO", "sounds_like": ["C.E.O."]}],
        notification_config={"url": HOOK, "contents": ["transcript"]},
        srt_overrides=old.SRTOverrides(max_line_length=30, max_lines=1),
        translation_config=old.BatchTranslationConfig(target_languages=["de"]),
        summarization_config=old.SummarizationConfig(),
        sentiment_analysis_config=old.SentimentAnalysisConfig(),
        topic_detection_config=old.TopicDetectionConfig(topics=["Sports"]),
        auto_chapters_config=old.AutoChaptersConfig(),
        audio_events_config=old.AudioEventsConfig(types=["music"]),
    )
    assert parse_job_config(config.as_config().encode()) == TranscriptionRequest(
        language="en",
        operating_point=OperatingPoint.ENHANCED,
        additional_vocab=(VocabEntry(content="gnocchi"), VocabEntry(content="CEO", sounds_like=("C.E.O.",))),
        notifications=(Notification(url=HOOK, contents=("transcript",)),),
        subtitles=SubtitleLimits(max_line_length=30, max_lines=1),
        translation_targets=("de",),
        summarization=Summarization(),
        sentiment_analysis=True,
        topics=("Sports",),
        auto_chapters=True,
        audio_events=("music",),
    )


def test_what_the_current_client_sends() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechmatics import batch as new

        config = new.JobConfig(
            type=new.JobType.TRANSCRIPTION,
            transcription_config=new.TranscriptionConfig(
                language="en",
                enable_partials=True,
                max_delay=1.5,
                max_delay_mode="fixed",
                language_hints=["en"],
                language_hints_strict=True,
                enable_entities=True,
            ),
            notification_config=[new.NotificationConfig(url=HOOK)],
            sentiment_analysis_config=new.SentimentAnalysisConfig(),
            auto_chapters_config=new.AutoChaptersConfig(),
            translation_config=new.TranslationConfig(target_languages=["fr"], enable_partials=False),
            output_config=new.OutputConfig(generate_lattice=True),
        ).to_dict()
    assert config["transcription_config"]["model"] == "enhanced"
    assert parse(config) == TranscriptionRequest(
        language="en",
        operating_point=OperatingPoint.ENHANCED,
        enable_entities=True,
        language_hints=("en",),
        notifications=(Notification(url=HOOK),),
        sentiment_analysis=True,
        auto_chapters=True,
        translation_targets=("fr",),
    )


# --- whatever comes, only a request or a refusal goes ----------------------------------------------------------------

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**64, 0, 1, 50])
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["en", "auto", "all", "none", "http://a", "A: b", "\0", "\ud800", "S1", "/(/", "melia-1", "multi"]
    )
)
NAMES = st.sampled_from(
    sorted(
        {name for model in Part.__subclasses__() for name in members(model)} | {"contents", "method", "zz"},
    ),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)


def outcome(raw: bytes) -> None:
    result: Any = None
    refused: Refused | None = None
    try:
        result = parse_job_config(raw)
    except Refused as caught:
        refused = caught
    if refused is None:
        assert isinstance(result, TranscriptionRequest | AlignmentRequest)
        hash(result)  # values all the way down
        return
    assert refused.kind is Kind.INVALID_CONFIG
    assert refused.why
    assert refused.detail.isprintable()
    assert len(refused.detail) <= 600


@settings(deadline=None)
@given(VALUES)
def test_any_json_is_a_request_or_a_refusal(value: Any) -> None:
    outcome(json.dumps(value).encode())
    outcome(json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass"))


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_members_in_an_otherwise_good_config(top: dict[str, Any], inner: dict[str, Any]) -> None:
    outcome(json.dumps({**top, **tc(**inner)}).encode())
    outcome(json.dumps({**align(), **top}).encode())


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    outcome(raw)


CORPUS = [json.dumps(config).encode() for config, _, _ in GOOD if len(json.dumps(config)) < 1000]


@given(st.sampled_from(CORPUS), st.data())
@settings(max_examples=examples(200), deadline=None)
def test_any_config_with_a_few_bytes_changed(raw: bytes, data: st.DataObject) -> None:
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    changed = bytearray(raw)
    for _ in range(rng.randrange(1, 5)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    outcome(bytes(changed))


@settings(deadline=None)
@given(st.sampled_from(GOOD), VALUES)
def test_unknown_members_change_nothing(good: tuple[Any, str, Any], value: Any) -> None:
    config, _, _ = good
    expected = parse(config)
    try:
        assert parse({**config, "zz_unknown": value}) == expected
    except Refused as refused:  # only for what no string or number of a config may be
        assert (refused.at or "zz_unknown").startswith("zz_unknown")  # noqa: PT017
