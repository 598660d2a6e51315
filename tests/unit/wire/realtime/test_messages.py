"""What a client may send, and what each fault is called (contract `realtime.md` §4, §9)."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.request import (
    AudioFiltering,
    AudioFormat,
    AudioType,
    Diarization,
    Encoding,
    KnownSpeaker,
    LiveRequest,
    LiveTranslation,
    MaxDelayMode,
    OperatingPoint,
    PunctuationOverrides,
    Replacement,
    SpeakerDiarization,
    VocabEntry,
)
from sottovoce.wire.realtime import messages as m
from sottovoce.wire.realtime import warnings
from sottovoce.wire.realtime.config import Started
from sottovoce.wire.realtime.errors import CLOSE, ErrorType, SessionRefused, WarningType

RAW = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
AUDIO = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_S16LE, sample_rate=16000)


def start(audio_format: Any = RAW, top: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    return {
        "message": "StartRecognition",
        "audio_format": audio_format,
        "transcription_config": {"language": "en", **config},
        **(top or {}),
    }


def parse(body: Any, running: Started | None = None) -> m.ClientMessage:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return m.parse(text, m.Context(running=running))


def started(body: Any) -> Started:
    message = parse(body)
    assert isinstance(message, m.StartRecognition)
    return message.started


def refusal(body: Any, running: Started | None = None) -> SessionRefused:
    with pytest.raises(SessionRefused) as caught:
        parse(body, running)
    return caught.value


def test_every_error_has_a_close_code() -> None:
    assert set(CLOSE) == set(ErrorType)


# ── StartRecognition ──


def test_the_defaults_are_those_of_the_contract() -> None:
    assert started(start()).request == LiveRequest(language="en", audio=AUDIO)
    request = started(start()).request
    assert (request.max_delay, request.max_delay_mode, request.enable_partials) == (4.0, MaxDelayMode.FLEXIBLE, False)
    assert (request.enable_entities, request.end_of_utterance_silence_trigger) == (False, 0)


def test_every_member_reaches_the_request() -> None:
    config: dict[str, Any] = {
        "model": "enhanced", "operating_point": "standard", "domain": "medical", "output_locale": "en-US",
        "additional_vocab": ["Wuthering", {"content": "Heathcliff", "sounds_like": ["heeth cliff"]}],
        "punctuation_overrides": {"permitted_marks": ["."], "sensitivity": 0.2},
        "diarization": "channel_and_speaker", "channel_diarization_labels": ["left", "Agent 2"],
        "speaker_diarization_config": {"max_speakers": 2, "speaker_sensitivity": 0.1, "prefer_current_speaker": True,
                                       "get_speakers": True,
                                       "speakers": [{"label": "Ada", "speaker_identifiers": ["x"]}]},
        "enable_partials": True, "enable_entities": True, "max_delay": 1.5, "max_delay_mode": "fixed",
        "conversation_config": {"end_of_utterance_silence_trigger": 0.7},
        "audio_filtering_config": {"volume_threshold": 3.4},
        "transcript_filtering_config": {"remove_disfluencies": True, "replacements": [{"from": "a", "to": "b"}]},
        "streaming_mode": "x", "ctrl": {"a": 1}, "language_hints": ["en"], "unknown": 1,
    }  # fmt: skip
    assert started(start(**config)).request == LiveRequest(
        language="en",
        audio=AUDIO,
        operating_point=OperatingPoint.ENHANCED,
        domain="medical",
        output_locale="en-US",
        additional_vocab=(
            VocabEntry(content="Wuthering"),
            VocabEntry(content="Heathcliff", sounds_like=("heeth cliff",)),
        ),
        punctuation=PunctuationOverrides(sensitivity=0.2, permitted_marks=frozenset({"."})),
        diarization=Diarization.CHANNEL_AND_SPEAKER,
        channels=("left", "Agent 2"),
        speaker_diarization=SpeakerDiarization(
            max_speakers=2,
            speaker_sensitivity=0.1,
            prefer_current_speaker=True,
            get_speakers=True,
            speakers=(KnownSpeaker(label="Ada", speaker_identifiers=("x",)),),
        ),
        enable_partials=True,
        enable_entities=True,
        max_delay=1.5,
        max_delay_mode=MaxDelayMode.FIXED,
        end_of_utterance_silence_trigger=0.7,
        audio_filtering=AudioFiltering(volume_threshold=3.4),
        remove_disfluencies=True,
        replacements=(Replacement(source="a", target="b"),),
    )


@pytest.mark.parametrize(
    ("given", "used"), [(-1, 0.7), (0, 0.7), (0.69, 0.7), (0.7, 0.7), (4, 4.0), (5, 4.0), (10, 4.0)]
)
def test_max_delay_is_clamped(given: float, used: float) -> None:
    """§4.3, §14: old clients send 5 and 10."""
    assert started(start(max_delay=given)).request.max_delay == used


def test_null_is_absent_everywhere() -> None:
    body = start(
        {"type": "file", "encoding": None, "sample_rate": None},
        top={"translation_config": None, "audio_events_config": None, "type": "transcription"},
        max_delay=None,
        diarization=None,
        conversation_config={"end_of_utterance_silence_trigger": None},
    )
    assert started(body) == Started(
        request=LiveRequest(language="en", audio=AudioFormat(type=AudioType.FILE)),
        config={"language": "en", "conversation_config": {"end_of_utterance_silence_trigger": None}},
    )


@pytest.mark.parametrize("encoding", ["pcm_f32le", "pcm_s16le", "mulaw"])
@pytest.mark.parametrize("rate", [1000, 8000, 44100, 48000, 16000.0, 768000])
def test_raw_audio_has_three_encodings_and_any_rate(encoding: str, rate: float) -> None:
    found = started(start({"type": "raw", "encoding": encoding, "sample_rate": rate})).request.audio
    assert found == AudioFormat(type=AudioType.RAW, encoding=Encoding(encoding), sample_rate=int(rate))


def test_labels_without_a_channel_mode_are_ignored() -> None:
    assert started(start(channel_diarization_labels=["a", "b"])).request.channels == ()


def test_speaker_settings_without_a_speaker_mode_are_ignored() -> None:
    body = start(
        speaker_diarization_config={"max_speakers": 3, "speakers": [{"label": "A", "speaker_identifiers": ["x"]}]}
    )
    assert started(body).request.speaker_diarization == SpeakerDiarization()
    assert started(body).warnings == ()


TC = "transcription_config"
# fmt: off
BAD_START: list[tuple[dict[str, Any], ErrorType, str]] = [
    # §4.2
    ({"message": "StartRecognition", TC: {"language": "en"}}, ErrorType.INVALID_AUDIO_TYPE, "audio_format: is required"),
    (start("raw"), ErrorType.INVALID_AUDIO_TYPE, "audio_format: must be an object"),
    (start({}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.type: is required"),
    (start({"type": "opus"}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.type: must be one of raw, file"),
    (start({"type": "raw", "sample_rate": 8000}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.encoding: is required"),
    (start({"type": "raw", "encoding": "mulaw"}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.sample_rate: is required"),
    (start({**RAW, "encoding": "pcm_s24le"}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.encoding: must be one of"),
    (start({**RAW, "sample_rate": 0}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.sample_rate: must be between 1,000"),
    (start({**RAW, "sample_rate": 999}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.sample_rate: must be between 1,000"),
    (start({**RAW, "sample_rate": 16000.5}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.sample_rate: must be a whole"),
    (start({**RAW, "sample_rate": "16000"}), ErrorType.INVALID_AUDIO_TYPE, "audio_format.sample_rate: must be a whole"),
    # §4.3: language, model, domain
    ({"message": "StartRecognition", "audio_format": RAW}, ErrorType.INVALID_CONFIG, f"{TC}: is required"),
    (start(language=None), ErrorType.INVALID_CONFIG, f"{TC}.language: is required"),
    (start(language=7), ErrorType.INVALID_CONFIG, f"{TC}.language: must be a string"),
    (start(language=""), ErrorType.INVALID_LANGUAGE, f"{TC}.language: must be a language code"),
    (start(language="auto"), ErrorType.INVALID_LANGUAGE, f"{TC}.language: must not be auto"),
    (start(language="multi"), ErrorType.INVALID_LANGUAGE, f"{TC}.language: multi needs the model melia-1"),
    (start(model="tiny"), ErrorType.INVALID_MODEL, f"{TC}.model: must be one of standard, enhanced"),
    (start(model="melia-1"), ErrorType.INVALID_MODEL, f"{TC}.model: melia-1 is not available here"),
    (start(operating_point="best"), ErrorType.INVALID_MODEL, f"{TC}.operating_point: must be one of"),
    (start(model=3), ErrorType.INVALID_CONFIG, f"{TC}.model: must be a string"),
    (start(domain="a b"), ErrorType.INVALID_MODEL, f"{TC}.domain: must be a name"),
    # the rest of §4.3
    (start(output_locale="de-DE"), ErrorType.INVALID_CONFIG, f"{TC}.output_locale: must be one of"),
    (start(enable_partials="yes"), ErrorType.INVALID_CONFIG, f"{TC}.enable_partials: must be true or false"),
    (start(enable_entities=1), ErrorType.INVALID_CONFIG, f"{TC}.enable_entities: must be true or false"),
    (start(max_delay="2"), ErrorType.INVALID_CONFIG, f"{TC}.max_delay: must be a number"),
    (start(max_delay_mode="late"), ErrorType.INVALID_CONFIG, f"{TC}.max_delay_mode: must be one of"),
    (start(additional_vocab="word"), ErrorType.INVALID_CONFIG, f"{TC}.additional_vocab: must be a list"),
    (start(additional_vocab=[""]), ErrorType.INVALID_CONFIG, f"{TC}.additional_vocab[0].content: must not be empty"),
    (start(additional_vocab=["a"] * 1001), ErrorType.INVALID_CONFIG, f"{TC}.additional_vocab: must hold at most 1,000"),
    (start(additional_vocab=[{"content": "a", "sounds_like": []}]), ErrorType.INVALID_CONFIG, "sounds_like: must not be empty"),
    (start(additional_vocab=[{"content": "a", "sounds_like": [""]}]), ErrorType.INVALID_CONFIG, "sounds_like[0]"),
    (start(punctuation_overrides={"sensitivity": 2}), ErrorType.INVALID_CONFIG, "sensitivity: must be between 0 and 1"),
    (start(punctuation_overrides={"permitted_marks": [".."]}), ErrorType.INVALID_CONFIG, "must be one character"),
    (start(diarization="voices"), ErrorType.INVALID_CONFIG, f"{TC}.diarization: must be one of none, speaker, channel"),
    (start(diarization="speaker_change"), ErrorType.INVALID_CONFIG, "removed in 2024"),
    (start(diarization="channel"), ErrorType.INVALID_CONFIG, "channel_diarization_labels: is required"),
    (start(diarization="channel", channel_diarization_labels=["a", "a"]), ErrorType.INVALID_CONFIG, "same label twice"),
    (start(diarization="channel", channel_diarization_labels=["a", "b", "c"]), ErrorType.INVALID_CONFIG, "at most 2 labels"),
    (start(diarization="channel", channel_diarization_labels=["a\n"]), ErrorType.INVALID_CONFIG, "control characters"),
    (start(speaker_diarization_config={"max_speakers": 1}), ErrorType.INVALID_CONFIG, "max_speakers: must be 2 or more"),
    (start(speaker_diarization_config={"speaker_sensitivity": 1.1}), ErrorType.INVALID_CONFIG, "speaker_sensitivity"),
    (start(speaker_diarization_config={"speakers": [{"label": "S1", "speaker_identifiers": ["x"]}]}),
     ErrorType.INVALID_CONFIG, "must not look like the service's own labels"),
    (start(audio_filtering_config={"volume_threshold": 101}), ErrorType.INVALID_CONFIG, "volume_threshold: must be between"),
    (start(conversation_config={"end_of_utterance_silence_trigger": 2.1}), ErrorType.INVALID_CONFIG, "between 0 and 2"),
    (start(transcript_filtering_config={"replacements": [{"from": "a"}]}), ErrorType.INVALID_CONFIG, "replacements[0].to: is required"),
    (start(transcript_filtering_config={"replacements": [{"from": "/(a/", "to": ""}]}), ErrorType.INVALID_CONFIG, "replacements[0].from"),
    # §4.4, §4.5
    (start(top={"translation_config": {"target_languages": ["de"] * 2 + ["fr", "es", "it", "pt", "nl"]}}),
     ErrorType.INVALID_CONFIG, "translation_config.target_languages: must hold at most 5 languages, got 6"),
    (start(top={"translation_config": {"target_languages": "de"}}), ErrorType.INVALID_CONFIG, "must be a list"),
    (start(top={"audio_events_config": {"types": ["thunder"]}}), ErrorType.INVALID_CONFIG, "audio_events_config.types[0]"),
]
# fmt: on


@pytest.mark.parametrize(("body", "error", "reason"), BAD_START)
def test_a_bad_start_is_named(body: dict[str, Any], error: ErrorType, reason: str) -> None:
    refused = refusal(body)
    assert refused.error is error, refused.detail
    assert reason in refused.detail


@pytest.mark.parametrize("body", [start(), {"message": "StartRecognition"}, start(language="xx-")])
def test_a_second_start_is_refused_whatever_it_contains(body: dict[str, Any]) -> None:
    """§3: `protocol_error`."""
    assert refusal(body, started(start())).error is ErrorType.PROTOCOL_ERROR


# ── warnings ──


def kinds(body: Any) -> list[str]:
    return [warning.type for warning in started(body).warnings]


def test_custom_words_that_are_too_long_are_dropped_with_a_warning() -> None:
    found = started(
        start(additional_vocab=["a b c d e f g", "good", {"content": "x", "sounds_like": ["y" * 4001, "z"]}])
    )
    assert found.request.additional_vocab == (VocabEntry(content="good"), VocabEntry(content="x", sounds_like=("z",)))
    assert [warning.type for warning in found.warnings] == [WarningType.VALIDATION_WARNING] * 2
    assert "the content of entry 0" in found.warnings[0].reason
    assert "sounds_like values of entry 2" in found.warnings[1].reason


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, None),
        ({}, LiveTranslation()),
        ({"target_languages": None, "enable_partials": None}, LiveTranslation()),
        ({"target_languages": []}, LiveTranslation()),
        ({"target_languages": ["de", "fr", "de"]}, LiveTranslation(targets=("de", "fr"))),
        ({"target_languages": ["xx"], "enable_partials": True}, LiveTranslation(targets=("xx",), partials=True)),
    ],
)
def test_translation(config: dict[str, Any] | None, expected: LiveTranslation | None) -> None:
    """§4.4: Rust and GStreamer send an empty config by default. What can be translated is not the codec's business."""
    found = started(start(top={"translation_config": config}))
    assert (found.request.translation, found.warnings) == (expected, ())


@pytest.mark.parametrize(
    ("config", "expected"),
    [(None, None), ({}, ()), ({"types": None}, ()), ({"types": ["music", "laughter", "music"]}, ("music", "laughter"))],
)
def test_audio_events(config: dict[str, Any] | None, expected: tuple[str, ...] | None) -> None:
    """§4.5."""
    assert started(start(top={"audio_events_config": config})).request.audio_events == expected


def test_at_most_five_messages_come_before_the_start() -> None:
    """§3 rule 1, §11.6: the usage and four warnings; those of one type are put together."""
    pairs = [warnings.unsupported_pair("en", target) for target in ("de", "fr", "es")]
    assert warnings.few(pairs) == tuple(pairs)
    found = warnings.few([*pairs, warnings.no_targets(), warnings.undetected(["laughter"], ["music"])])
    assert [each.type for each in found] == [
        "unsupported_translation_pair",
        "empty_translation_target_list",
        "validation_warning",
    ]
    assert all(f'from "en" to "{target}"' in found[0].reason for target in ("de", "fr", "es"))


def test_unknown_members_are_counted() -> None:
    """§4.3: they are ignored with a note; SDK releases send some that have no effect."""
    assert started(start(language_hints=None, ctrl=None)).unknown == 0
    assert started(start(streaming_mode="x", language_hints=["en"], made_up={"a": [1]})).unknown == 2


# ── other messages ──

CHANNEL_AUDIO = {"message": "AddChannelAudio", "channel": "left", "data": base64.b64encode(b"\0\1").decode()}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"message": "EndOfStream", "last_seq_no": 0}, m.EndOfStream()),
        ({"message": "EndOfStream", "last_seq_no": -7}, m.EndOfStream()),
        ({"message": "EndOfStream"}, m.EndOfStream()),
        ({"message": "EndOfChannel", "channel": "left", "last_seq_no": 3}, m.EndOfChannel(channel="left")),
        (CHANNEL_AUDIO, m.AddChannelAudio(channel="left", data=b"\0\1")),
        ({"message": "ForceEndOfUtterance"}, m.ForceEndOfUtterance()),
        ({"message": "ForceEndOfUtterance", "timestamp": 29.9106875}, m.ForceEndOfUtterance(timestamp=29.9106875)),
        ({"message": "ForceEndOfUtterance", "channel": "a", "timestamp": None}, m.ForceEndOfUtterance(channel="a")),
        ({"message": "GetSpeakers"}, m.GetSpeakers()),
        ({"message": "GetSpeakers", "final": True}, m.GetSpeakers(final=True)),
    ],
)
def test_messages(body: dict[str, Any], expected: m.ClientMessage) -> None:
    assert parse(body) == expected


# fmt: off
BAD: list[tuple[Any, str]] = [
    (b"", "the message must be a JSON object, got nothing"),
    (b"{", "the message is not valid JSON"),
    (b"\xff", "the message is not valid JSON"),
    (b"[]", "the message must be a JSON object, got a list"),
    ({}, "message: is required"),
    ({"type": "start"}, "message: is required"),  # a hand-written client (clients.md §13)
    ({"message": None}, "message: is required"),
    ({"message": "Hello"}, "message: must be one of StartRecognition"),
    ({"message": "SessionTransfer"}, "message: must be one of"),
    ({"message": "PauseRecognition"}, "message: must be one of"),
    ({"message": "AddAudio"}, "message: must be one of"),
    ({"message": "EndOfStream", "last_seq_no": "1"}, "last_seq_no: must be a whole number"),
    ({"message": "EndOfChannel", "last_seq_no": 1}, "channel: is required"),
    ({"message": "AddChannelAudio", "data": ""}, "channel: is required"),
    ({"message": "AddChannelAudio", "channel": "a"}, "data: is required"),
    ({"message": "AddChannelAudio", "channel": "a", "data": "!!"}, "data: must be base64"),
    ({"message": "ForceEndOfUtterance", "timestamp": -1}, "timestamp: must not be negative"),
    ({"message": "ForceEndOfUtterance", "timestamp": "1"}, "timestamp: must be a number"),
    ({"message": "GetSpeakers", "final": "yes"}, "final: must be true or false"),
    (b'{"message":"GetSpeakers","a":' + b"[" * 70 + b"]" * 70 + b"}", "nested"),
    (b'{"message":"GetSpeakers","a":[' + b"0," * 150_001 + b"0]}", "names and values"),
    (b" " * (m.MAX_MESSAGE + 1), "the message must be at most"),
]
# fmt: on


@pytest.mark.parametrize(("body", "reason"), BAD)
def test_a_message_that_is_not_understood(body: Any, reason: str) -> None:
    refused = refusal(body)
    assert refused.error is ErrorType.INVALID_MESSAGE
    assert reason in refused.detail


def test_a_start_has_the_size_limit_of_a_config() -> None:
    refused = refusal(start(domain="x" * (4 << 20)))
    assert (refused.error, "at most 4,194,304 bytes" in refused.detail) == (ErrorType.INVALID_CONFIG, True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_value_of_a_member_is_an_error_of_ours(value: Any) -> None:
    for body in (
        start(value),
        {**start(), TC: value},
        start(additional_vocab=value),
        {"message": "GetSpeakers", "final": value},
    ):
        try:
            parse(body)
        except SessionRefused as refused:
            assert len(refused.detail) < 1000  # noqa: PT017


# ── SetRecognitionConfig ──


def change(running: dict[str, Any], **config: Any) -> Started:
    message = parse({"message": "SetRecognitionConfig", TC: config}, started(running))
    assert isinstance(message, m.SetRecognitionConfig)
    return message.started


def test_five_members_can_change() -> None:
    config: dict[str, Any] = {
        "max_delay": 1.0,
        "max_delay_mode": "fixed",
        "enable_partials": True,
        "audio_filtering_config": {"volume_threshold": 1.0},
        "conversation_config": {"end_of_utterance_silence_trigger": 0.5},
    }
    request = change(start(), **config).request
    assert request == started(start(**config)).request


def test_the_whole_config_may_be_repeated() -> None:
    """§4.6: the old library sends everything again, with members of the running session left out or null."""
    running = start(diarization="speaker", operating_point="enhanced", additional_vocab=["a"], max_delay=2)
    found = change(
        running, language="en", operating_point="enhanced", diarization=None, additional_vocab=["a"], max_delay=1
    )
    assert found.request == started({**running, TC: {**running[TC], "max_delay": 1}}).request
    assert found.warnings == ()


def test_a_change_leaves_translation_and_audio_events() -> None:
    """§4.6: they are no part of the changes; the old library repeats them in places where they mean nothing."""
    top = {"translation_config": {"target_languages": ["de"]}, "audio_events_config": {"types": ["music"]}}
    found = parse({"message": "SetRecognitionConfig", TC: {"max_delay": 1}, **top}, started(start(top=top)))
    assert isinstance(found, m.SetRecognitionConfig)
    assert found.started.request.translation == LiveTranslation(targets=("de",))
    assert found.started.request.audio_events == ("music",)


def test_changes_add_up() -> None:
    once = change(start(), max_delay=1)
    message = parse({"message": "SetRecognitionConfig", TC: {"enable_partials": True}}, once)
    assert isinstance(message, m.SetRecognitionConfig)
    assert (message.started.request.max_delay, message.started.request.enable_partials) == (1.0, True)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"language": "de"}, "transcription_config.language: cannot be changed while the session runs"),
        ({"additional_vocab": ["b"]}, "transcription_config.additional_vocab: cannot be changed"),
        ({"punctuation_overrides": {"permitted_marks": []}}, "transcription_config.punctuation_overrides: cannot"),
        ({"diarization": "speaker"}, "transcription_config.diarization: cannot be changed"),
        ({"model": "enhanced"}, "transcription_config.model: cannot be changed"),
        ({"operating_point": "enhanced"}, "transcription_config.operating_point: cannot be changed"),
        ({"transcript_filtering_config": {"remove_disfluencies": True}}, "transcript_filtering_config: cannot"),
        ({"max_delay": "1"}, "transcription_config.max_delay: must be a number"),
        ({"conversation_config": {"end_of_utterance_silence_trigger": 3}}, "end_of_utterance_silence_trigger: must be"),
    ],
)
def test_other_changes_are_refused(config: dict[str, Any], reason: str) -> None:
    refused = refusal({"message": "SetRecognitionConfig", TC: config}, started(start()))
    assert refused.error is ErrorType.INVALID_CONFIG
    assert reason in refused.detail


def test_a_change_needs_a_config_and_a_session() -> None:
    assert refusal({"message": "SetRecognitionConfig"}, started(start())).error is ErrorType.INVALID_CONFIG
    assert refusal({"message": "SetRecognitionConfig", TC: {}}).error is ErrorType.PROTOCOL_ERROR
