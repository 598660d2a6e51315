"""The protocol without a socket: every order, warning, error, close code and time limit (contract `realtime.md` §3–§10)."""

import typing
from dataclasses import replace
from typing import Any, Literal

import pytest

from sottovoce.inference import live_events as live
from sottovoce.realtime.conversation import (
    HOUR,
    MINUTE,
    TABLE,
    Admitted,
    Close,
    Configure,
    Conversation,
    EndChannel,
    Feed,
    Finish,
    Force,
    Input,
    Limits,
    Open,
    Output,
    ReportSpeakers,
    Send,
    State,
    Stopping,
    Translated,
)
from sottovoce.request import AudioFormat, AudioType, Diarization, Encoding, LiveRequest, SpeakerDiarization
from sottovoce.transcript.model import Attaches, Entity, Mark, Speaker, Word
from sottovoce.wire.realtime import messages as m
from sottovoce.wire.realtime.beside import TranslatedSentence
from sottovoce.wire.realtime.config import ConfigWarning, Started
from sottovoce.wire.realtime.errors import CLOSE, ErrorType, SessionRefused, WarningType

RAW = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_S16LE, sample_rate=16000)
REQUEST = LiveRequest(language="en", audio=RAW, enable_partials=True)
CHANNELS = replace(REQUEST, diarization=Diarization.CHANNEL, channels=("left", "right"))
USAGE = Admitted(usage=1, quota=2, at="2026-11-28T00:00:00Z", region="eu1")
WORDS = (
    Word(text="hello", start=1600, end=8000, confidence=0.987),
    Mark(text=".", at=8000, attaches=Attaches.PREVIOUS, ends_sentence=True),
)
FINAL = live.Final(channel=0, start=0, end=8000, items=WORDS)
PARTIAL = live.Partial(channel=0, start=8000, end=9600, items=(Word(text="the", start=8000, end=9600),))
EMPTY = live.Partial(channel=0, start=9600, end=9600, items=())


def new(**members: Any) -> Conversation:
    return Conversation(session_id="id-1", version="1.0", opened_at=0.0, **members)


def start(request: LiveRequest = REQUEST, *warnings: ConfigWarning) -> m.StartRecognition:
    return m.StartRecognition(
        started=Started(request=request, config={"language": request.language}, warnings=warnings)
    )


def running(request: LiveRequest = REQUEST, **members: Any) -> Conversation:
    found = new(**members)
    for message in (start(request), USAGE, live.Opened()):
        found.take(message, 0.0)
    assert found.state is State.RUNNING
    return found


def draining(request: LiveRequest = REQUEST) -> Conversation:
    found = running(request)
    assert found.take(m.EndOfStream(), 1.0) == [Finish()]
    assert found.state is State.DRAINING
    return found


def bodies(outputs: list[Output]) -> list[dict[str, Any]]:
    return [output.body for output in outputs if isinstance(output, Send)]


def names(outputs: list[Output]) -> list[str]:
    return [f"{body['message']} {body.get('type', '')}".strip() for body in bodies(outputs)]


def ends_with(outputs: list[Output], error: ErrorType, reason: str = "") -> None:
    send, close = outputs
    assert isinstance(send, Send)
    assert send.body["message"] == "Error"
    assert send.body["type"] == error
    assert reason in send.body["reason"]
    code, payload = CLOSE[error]
    assert close == Close(code=code, reason=payload)


# ── the table ──


def test_every_message_has_a_rule_in_every_state() -> None:
    kinds = {kind for union in typing.get_args(Input) for kind in (typing.get_args(union) or (union,))}
    for state in State:
        assert set(TABLE[state]) == kinds
        for method in TABLE[state].values():
            assert hasattr(Conversation, method)


def test_nothing_follows_the_end() -> None:
    """§3 rules 6 and 7."""
    conversation = draining()
    conversation.take(live.Finished(), 2.0)
    assert conversation.state is State.DONE
    for message in (
        start(),
        m.AddAudio(data=b"x"),
        m.GetSpeakers(),
        m.EndOfStream(),
        FINAL,
        live.Finished(),
        Stopping(),
    ):
        assert conversation.take(message, 3.0) == []
    assert conversation.take(SessionRefused(ErrorType.INVALID_MESSAGE, "x"), 3.0) == []
    assert conversation.tick(1e9, heard=0.0) == []
    assert conversation.due(0.0) is None


# ── beside the transcript (§5) ──


def test_translations_and_audio_events_are_messages_of_the_contract() -> None:
    sentence = TranslatedSentence(text="Hallo.", start=1600, end=8000, speaker="S1")
    spoken = Translated(target="de", sentences=(sentence,), final=True)
    conversation = running(replace(REQUEST, diarization=Diarization.SPEAKER))
    assert conversation.take(live.SentenceHeard(channel=0, start=0, end=1, text="x"), 1.0) == []
    found = bodies(conversation.take(spoken, 1.0))
    assert found == [
        {
            "message": "AddTranslation", "format": "2.9", "language": "de",
            "results": [{"content": "Hallo.", "start_time": 0.1, "end_time": 0.5, "speaker": "S1"}],
        }
    ]  # fmt: skip
    partial = bodies(running().take(replace(spoken, final=False), 1.0))[0]
    assert partial["message"] == "AddPartialTranslation"
    assert partial["results"] == [{"content": "Hallo.", "start_time": 0.1, "end_time": 0.5}]
    begun = live.SoundStarted(channel=1, kind="music", start=16000, confidence=0.789)
    over = live.SoundEnded(channel=1, kind="music", end=48000)
    assert bodies(running(CHANNELS).take(begun, 1.0)) == [
        {
            "message": "AudioEventStarted", "channel": "right",
            "event": {"type": "music", "start_time": 1.0, "confidence": 0.79},
        }
    ]  # fmt: skip
    assert bodies(draining().take(replace(over, channel=0), 2.0)) == [
        {"message": "AudioEventEnded", "event": {"type": "music", "end_time": 3.0}}
    ]


def test_what_the_server_cannot_do_is_a_warning_before_the_start() -> None:
    conversation = new()
    conversation.take(start(), 0.0)
    missing = ConfigWarning(type=WarningType.UNSUPPORTED_TRANSLATION_PAIR, reason="from en to xx")
    assert names(conversation.take(replace(USAGE, warnings=(missing,)), 0.1)) == [
        "Info concurrent_session_usage", "Warning unsupported_translation_pair",
    ]  # fmt: skip


# ── start (§3, §1.1) ──


def test_the_first_messages_come_in_the_order_of_the_contract() -> None:
    warning = ConfigWarning(type=WarningType.VALIDATION_WARNING, reason="dropped")
    conversation = new()
    message = start(REQUEST, warning)
    assert conversation.take(message, 0.0) == [Open(started=message.started)]
    assert conversation.state is State.STARTING
    before = conversation.take(USAGE, 0.1)
    assert names(before) == ["Info concurrent_session_usage", "Warning validation_warning"]
    assert bodies(before)[0] == {
        "message": "Info", "type": "concurrent_session_usage", "reason": "1 concurrent sessions active out of quota 2",
        "usage": 1, "quota": 2, "last_updated": "2026-11-28T00:00:00Z", "region": "eu1",
    }  # fmt: skip
    after = conversation.take(live.Opened(), 0.2)
    assert names(after) == ["RecognitionStarted", "Info recognition_quality"]
    assert bodies(after)[0] == {
        "message": "RecognitionStarted", "id": "id-1", "orchestrator_version": "1.0",
        "language_pack_info": {"adapted": False, "itn": True, "language_description": "English", "word_delimiter": " ",
                               "writing_direction": "left-to-right"},
    }  # fmt: skip
    assert bodies(after)[1]["quality"] == "broadcast"


@pytest.mark.parametrize(
    ("audio", "quality"),
    [
        (RAW, "broadcast"),
        (replace(RAW, sample_rate=12_000), "broadcast"),
        (replace(RAW, sample_rate=11_999), "telephony"),
        (AudioFormat(type=AudioType.FILE), "broadcast"),
    ],
)
def test_the_quality_follows_from_the_rate(audio: AudioFormat, quality: str) -> None:
    conversation = new()
    conversation.take(start(replace(REQUEST, audio=audio)), 0.0)
    assert bodies(conversation.take(live.Opened(), 0.0))[1]["quality"] == quality


def test_channels_are_named_twice() -> None:
    """§14: the schema and the documentation spell the member differently."""
    conversation = new()
    conversation.take(start(CHANNELS), 0.0)
    body = bodies(conversation.take(live.Opened(), 0.0))[0]
    assert body["channels"] == body["channel_ids"] == ["left", "right"]


def test_the_language_of_the_address_must_be_that_of_the_config() -> None:
    assert isinstance(new(language="en").take(start(), 0.0)[0], Open)
    conversation = new(language="de")
    ends_with(conversation.take(start(), 0.0), ErrorType.INVALID_LANGUAGE, "must be de, the language in the address")


@pytest.mark.parametrize("message", [m.AddAudio(data=b""), m.EndOfStream(), m.GetSpeakers(), m.ForceEndOfUtterance()])
def test_the_first_message_is_the_start(message: m.ClientMessage) -> None:
    ends_with(new().take(message, 0.0), ErrorType.PROTOCOL_ERROR, "first message must be StartRecognition")


@pytest.mark.parametrize("conversation", [running(), draining()])
def test_a_second_start_ends_the_session(conversation: Conversation) -> None:
    ends_with(conversation.take(start(), 1.0), ErrorType.PROTOCOL_ERROR, "StartRecognition was sent before")


@pytest.mark.parametrize("error", list(ErrorType))
def test_every_refusal_is_an_error_and_its_close_code(error: ErrorType) -> None:
    for conversation in (new(), running(), draining()):
        ends_with(conversation.take(SessionRefused(error, "because"), 0.0), error, "because")
        assert conversation.state is State.DONE
        assert conversation.error is error


def test_audio_that_comes_early_is_buffered() -> None:
    """§3: a client should wait for RecognitionStarted; all of its audio is used even if it does not."""
    conversation = new()
    conversation.take(start(), 0.0)
    assert isinstance(conversation.take(m.AddAudio(data=b"x"), 0.0)[0], Feed)
    assert conversation.take(m.EndOfStream(), 0.0) == [Finish()]
    assert names(conversation.take(live.Opened(), 0.1)) == ["RecognitionStarted", "Info recognition_quality"]
    assert conversation.state is State.DRAINING


# ── audio (§4.6, §5, §10) ──


def test_each_binary_message_is_acknowledged_once_in_order() -> None:
    conversation = running()
    for number, data in enumerate([b"", b"x", b"yy" * 5000], 1):
        acknowledgement = {"message": "AudioAdded", "seq_no": number}
        assert conversation.take(m.AddAudio(data=data), 0.0) == [
            Feed(channel=0, data=data, acknowledgement=acknowledgement)
        ]


def test_channels_count_on_their_own() -> None:
    conversation = running(CHANNELS)
    found = [conversation.take(m.AddChannelAudio(channel=c, data=b"x"), 0.0)[0] for c in ("left", "right", "left")]
    assert [each.channel for each in found] == [0, 1, 0]
    assert [each.acknowledgement for each in found] == [
        {"message": "ChannelAudioAdded", "channel": "left", "seq_no": 1},
        {"message": "ChannelAudioAdded", "channel": "right", "seq_no": 1},
        {"message": "ChannelAudioAdded", "channel": "left", "seq_no": 2},
    ]


@pytest.mark.parametrize(
    ("request_", "message", "reason"),
    [
        (REQUEST, m.AddChannelAudio(channel="left", data=b""), "channel: cannot be used in a session without channels"),
        (CHANNELS, m.AddChannelAudio(channel="middle", data=b""), "channel: must be one of left, right"),
        (CHANNELS, m.AddAudio(data=b""), "use AddChannelAudio"),
        (CHANNELS, m.EndOfChannel(channel="middle"), "channel: must be one of left, right"),
        (REQUEST, m.EndOfChannel(channel="left"), "channel: cannot be used"),
        (CHANNELS, m.ForceEndOfUtterance(channel="middle"), "channel: must be one of left, right"),
    ],
)
def test_an_unknown_channel_ends_the_session(request_: LiveRequest, message: m.ClientMessage, reason: str) -> None:
    ends_with(running(request_).take(message, 0.0), ErrorType.PROTOCOL_ERROR, reason)


def test_the_session_ends_with_its_last_channel() -> None:
    conversation = running(CHANNELS)
    assert conversation.take(m.EndOfChannel(channel="right"), 0.0) == [EndChannel(channel=1)]
    assert conversation.take(m.EndOfChannel(channel="right"), 0.0) == []
    late = m.AddChannelAudio(channel="right", data=b"x")
    assert names(conversation.take(late, 0.0)) == ["Warning add_audio_after_eos"]
    assert conversation.take(late, 0.0) == []
    assert conversation.take(m.EndOfChannel(channel="left"), 0.0) == [Finish()]
    assert conversation.state is State.DRAINING


def test_audio_after_the_end_is_ignored_with_one_warning() -> None:
    conversation = draining()
    assert names(conversation.take(m.AddAudio(data=b"x"), 1.0)) == ["Warning add_audio_after_eos"]
    assert conversation.take(m.AddAudio(data=b"x"), 1.0) == []
    assert conversation.take(m.EndOfStream(), 1.0) == []
    assert conversation.state is State.DRAINING


# ── other messages (§4.6) ──


def test_a_change_has_no_answer() -> None:
    conversation = running()
    quiet = replace(REQUEST, enable_partials=False)
    message = m.SetRecognitionConfig(started=Started(request=quiet, config={}))
    assert conversation.take(message, 0.0) == [Configure(request=quiet)]
    assert conversation.take(PARTIAL, 0.0) == []


def test_force_passes_channel_and_time_on() -> None:
    assert running().take(m.ForceEndOfUtterance(), 0.0) == [Force()]
    assert running().take(m.ForceEndOfUtterance(timestamp=29.9106875), 0.0) == [Force(at=478_571)]
    assert running(CHANNELS).take(m.ForceEndOfUtterance(channel="right"), 0.0) == [Force(channel=1)]
    assert isinstance(running().take(m.ForceEndOfUtterance(timestamp=1e308), 0.0)[0], Force)


def test_get_speakers_is_answered_now_or_once_at_the_end() -> None:
    conversation = running()
    result = {"message": "SpeakersResult", "speakers": []}
    assert bodies(conversation.take(m.GetSpeakers(), 0.0)) == [result]
    assert conversation.take(m.GetSpeakers(final=True), 0.0) == []
    assert conversation.take(m.GetSpeakers(final=True), 0.0) == []
    conversation.take(m.EndOfStream(), 0.0)
    assert bodies(conversation.take(m.GetSpeakers(), 0.0)) == [result]
    assert names(conversation.take(live.Finished(), 0.0)) == ["SpeakersResult", "EndOfTranscript"]


def test_get_speakers_of_the_config_is_answered_at_the_end() -> None:
    config = SpeakerDiarization(get_speakers=True)
    conversation = draining(replace(REQUEST, diarization=Diarization.SPEAKER, speaker_diarization=config))
    assert names(conversation.take(live.Finished(), 0.0)) == ["SpeakersResult", "EndOfTranscript"]


SPEAKERS = replace(REQUEST, diarization=Diarization.SPEAKER)
ADA = Speaker(label="Ada", prints=("v1.x", "v1.y"))
RESULT = {"message": "SpeakersResult", "speakers": [{"label": "Ada", "speaker_identifiers": ["v1.x", "v1.y"]}]}


def test_the_recogniser_is_asked_for_the_speakers_so_far() -> None:
    """§4.6, §5: a speaker without an identifier is left out."""
    conversation = running(SPEAKERS)
    assert conversation.take(m.GetSpeakers(), 0.0) == [ReportSpeakers()]
    found = live.Speakers(speakers=(ADA, Speaker(label="S1")))
    assert bodies(conversation.take(found, 0.0)) == [RESULT]
    conversation.take(m.EndOfStream(), 0.0)
    assert conversation.take(m.GetSpeakers(), 0.0) == [ReportSpeakers()]


@pytest.mark.parametrize("asked", [True, False])
def test_the_speakers_of_the_end_are_sent_if_they_were_asked_for(asked: bool) -> None:
    """§3 rule 6."""
    conversation = running(SPEAKERS)
    if asked:
        assert conversation.take(m.GetSpeakers(final=True), 0.0) == []
    conversation.take(m.EndOfStream(), 0.0)
    assert conversation.take(live.Speakers(speakers=(ADA,), final=True), 0.0) == []
    end = [{"message": "EndOfTranscript"}]
    assert bodies(conversation.take(live.Finished(), 0.0)) == ([RESULT, *end] if asked else end)


def test_identifiers_that_are_not_valid_give_a_warning_before_the_start() -> None:
    """§3 rule 2, §4.3; at most five messages (§11.6)."""
    conversation = new()
    conversation.take(start(SPEAKERS), 0.0)
    sent = bodies(conversation.take(replace(USAGE, ignored=2), 0.0))
    assert [body.get("type") for body in sent] == ["concurrent_session_usage", "speaker_id"]
    assert sent[1]["reason"].startswith("2 speaker identifiers are ignored")

    conversation = new()
    many = tuple(ConfigWarning(type=WarningType.VALIDATION_WARNING, reason=str(number)) for number in range(4))
    conversation.take(m.StartRecognition(started=Started(request=SPEAKERS, config={}, warnings=many)), 0.0)
    sent = bodies(conversation.take(replace(USAGE, ignored=1), 0.0))
    assert [body.get("type") for body in sent] == ["concurrent_session_usage", "validation_warning", "speaker_id"]
    assert sent[2]["reason"].startswith("1 speaker identifier is ignored")


# ── results (§5, §6) ──


def test_a_final_is_written_as_on_the_wire() -> None:
    (body,) = bodies(running().take(FINAL, 0.0))
    assert list(body) == ["message", "format", "results", "metadata"]
    assert body["format"] == "2.9"
    assert body["metadata"] == {"start_time": 0.0, "end_time": 0.5, "transcript": "hello. "}
    word, mark = body["results"]
    assert word == {
        "type": "word", "start_time": 0.1, "end_time": 0.5,
        "alternatives": [{"content": "hello", "confidence": 0.99, "language": "en", "display": {"direction": "ltr"}}],
    }  # fmt: skip
    assert mark["type"] == "punctuation"
    assert (mark["attaches_to"], mark["is_eos"], mark["start_time"], mark["end_time"]) == ("previous", True, 0.5, 0.5)


def test_a_partial_has_no_delimiter_at_its_end() -> None:
    (body,) = bodies(running().take(PARTIAL, 0.0))
    assert body["message"] == "AddPartialTranscript"
    assert body["metadata"] == {"start_time": 0.5, "end_time": 0.6, "transcript": "the"}


def test_an_empty_final_and_a_lone_mark() -> None:
    conversation = running()
    (empty,) = bodies(conversation.take(replace(FINAL, items=()), 0.0))
    assert (empty["results"], empty["metadata"]["transcript"]) == ([], "")
    (lone,) = bodies(conversation.take(replace(FINAL, items=WORDS[1:]), 0.0))
    assert lone["metadata"]["transcript"] == ". "


def test_without_enable_partials_there_is_no_partial() -> None:
    conversation = running(replace(REQUEST, enable_partials=False))
    assert conversation.take(PARTIAL, 0.0) == []
    forced = live.UtteranceEnd(channel=0, at=16000, forced=True)
    assert names(conversation.take(forced, 0.0)) == ["AddTranscript", "EndOfUtterance"]
    conversation.take(m.EndOfStream(), 0.0)
    assert names(conversation.take(live.Finished(), 0.0)) == ["EndOfTranscript"]


def test_speakers_are_labelled_only_in_the_speaker_modes() -> None:
    conversation = running(replace(REQUEST, diarization=Diarization.SPEAKER))
    (body,) = bodies(conversation.take(FINAL, 0.0))
    assert [each["alternatives"][0]["speaker"] for each in body["results"]] == ["UU", "UU"]


def test_channels_are_labelled() -> None:
    conversation = running(CHANNELS)
    (body,) = bodies(conversation.take(replace(FINAL, channel=1), 0.0))
    assert body["channel"] == "right"
    (end,) = bodies(conversation.take(live.UtteranceEnd(channel=1, at=16000, forced=False), 0.0))
    assert end["channel"] == "right"


def test_volume_and_tags_only_where_known() -> None:
    item = Word(text="er", start=0, end=1600, volume=12.345, tags=("disfluency",))
    (body,) = bodies(running().take(replace(FINAL, items=(item,)), 0.0))
    assert body["results"][0]["volume"] == 12.35
    assert body["results"][0]["alternatives"][0]["tags"] == ["disfluency"]


def test_an_entity_has_its_spoken_and_written_words() -> None:
    """§5.1."""
    spoken = (Word(text="twenty", start=0, end=8000), Word(text="dollars", start=8000, end=16000))
    written = (Word(text="$20", start=0, end=16000),)
    item = Entity(text="$20", entity_class="money", spoken=spoken, written=written, start=0, end=16000)
    (body,) = bodies(running().take(replace(FINAL, items=(item,)), 0.0))
    (result,) = body["results"]
    assert body["metadata"]["transcript"] == "$20 "
    assert (result["type"], result["entity_class"], result["alternatives"][0]["content"]) == ("entity", "money", "$20")
    assert [(part["type"], part["alternatives"][0]["content"]) for part in result["spoken_form"]] == [
        ("word", "twenty"),
        ("word", "dollars"),
    ]
    assert [(part["type"], part["start_time"], part["end_time"]) for part in result["written_form"]] == [
        ("word", 0.0, 1.0)
    ]


def test_an_end_of_utterance_is_one_instant() -> None:
    (body,) = bodies(running().take(live.UtteranceEnd(channel=0, at=32000, forced=False), 0.0))
    assert body == {"message": "EndOfUtterance", "format": "2.9", "metadata": {"start_time": 2.0, "end_time": 2.0}}


def test_a_forced_end_is_a_forced_final_a_partial_and_the_end() -> None:
    conversation = running()
    conversation.take(FINAL, 0.0)
    conversation.take(PARTIAL, 0.0)  # words that were withdrawn do not move the start: finals follow each other (§5.3)
    final, partial, end = bodies(conversation.take(live.UtteranceEnd(channel=0, at=32000, forced=True), 0.0))
    assert (final["message"], final["forced"], final["results"]) == ("AddTranscript", True, [])
    assert final["metadata"] == {"start_time": 0.5, "end_time": 2.0, "transcript": ""}
    assert partial["message"] == "AddPartialTranscript"
    assert partial["metadata"] == {"start_time": 2.0, "end_time": 2.0, "transcript": ""}
    assert (end["message"], end["forced"]) == ("EndOfUtterance", True)


def test_the_words_of_a_forced_end_are_in_the_forced_final() -> None:
    """§4.6: `AddTranscript` with `forced` has the words up to now; none is added for them."""
    conversation = running()
    (final,) = bodies(conversation.take(replace(FINAL, forced=True), 0.0))
    assert (final["forced"], len(final["results"])) == (True, 2)
    conversation.take(EMPTY, 0.0)
    forced = live.UtteranceEnd(channel=0, at=16000, forced=True)
    assert names(conversation.take(forced, 0.0)) == ["EndOfUtterance"]
    assert names(conversation.take(forced, 0.0)) == ["AddTranscript", "AddPartialTranscript", "EndOfUtterance"]


def test_the_start_tells_the_model() -> None:
    conversation = new()
    for message in (start(), USAGE):
        conversation.take(message, 0.0)
    body = bodies(conversation.take(live.Opened(model="whisper-base"), 0.0))[0]
    assert body["orchestrator_version"] == "1.0+whisper-base"


# ── end (§3, §9, §11) ──


def test_the_end_of_transcript_is_last_and_the_close_is_normal() -> None:
    outputs = draining().take(live.Finished(), 0.0)
    assert outputs == [Send(body={"message": "EndOfTranscript"}), Close(code=1000, reason="")]


def test_the_last_partial_is_empty() -> None:
    """§11.10: the .NET client reports the last partial as a final."""
    conversation = draining()
    conversation.take(PARTIAL, 0.0)
    assert names(conversation.take(live.Finished(), 0.0)) == ["AddPartialTranscript", "EndOfTranscript"]
    conversation = draining()
    conversation.take(PARTIAL, 0.0)
    conversation.take(EMPTY, 0.0)
    assert names(conversation.take(live.Finished(), 0.0)) == ["EndOfTranscript"]


@pytest.mark.parametrize(
    ("kind", "error"), [("data_error", ErrorType.INVALID_AUDIO_TYPE), ("job_error", ErrorType.JOB_ERROR)]
)
def test_a_failure_of_the_recogniser(kind: Literal["data_error", "job_error"], error: ErrorType) -> None:
    for conversation in (running(), draining()):
        ends_with(conversation.take(live.Failed(kind=kind, detail="no audio in the file"), 0.0), error)


def test_the_detail_of_a_bug_stays_in_the_log() -> None:
    (body,) = bodies(running().take(live.Failed(kind="job_error", detail="/secret/path"), 0.0))
    assert "/secret" not in body["reason"]


def test_a_stopping_server_ends_sessions_with_their_text() -> None:
    """§8: duration_limit_exceeded acts like EndOfStream; later audio is acknowledged and ignored."""
    conversation = running()
    conversation.take(m.AddAudio(data=b"x"), 1.0)
    warning, finish = conversation.take(Stopping(), 12.5)
    assert isinstance(warning, Send)
    assert (warning.body["type"], warning.body["duration_limit"]) == ("duration_limit_exceeded", 12.5)
    assert finish == Finish()
    assert bodies(conversation.take(m.AddAudio(data=b"x"), 13.0)) == [{"message": "AudioAdded", "seq_no": 2}]
    assert conversation.take(m.EndOfStream(), 13.0) == []
    assert names(conversation.take(live.Finished(), 14.0)) == ["EndOfTranscript"]


def test_a_stopping_server_refuses_sessions_that_have_not_begun() -> None:
    for prepare in ([], [start()]):
        conversation = new()
        for message in prepare:
            conversation.take(message, 0.0)
        ends_with(conversation.take(Stopping(), 1.0), ErrorType.JOB_ERROR, "the server is shutting down")


# ── time (§8, §10) ──


def test_a_start_that_never_comes() -> None:
    conversation = new()
    assert conversation.due(0.0) == 3 * MINUTE
    assert conversation.tick(179.0, heard=0.0) == []
    ends_with(conversation.tick(180.0, heard=0.0), ErrorType.IDLE_TIMEOUT, "no StartRecognition within 180 seconds")


def test_a_recogniser_that_never_opens() -> None:
    conversation = new()
    conversation.take(start(), 5.0)
    assert conversation.due(0.0) == 35.0
    ends_with(conversation.tick(35.0, heard=0.0), ErrorType.JOB_ERROR)


def test_a_client_that_is_silent_for_three_minutes() -> None:
    conversation = running()
    assert conversation.due(heard=10.0) == 190.0
    assert conversation.tick(189.9, heard=10.0) == []
    ends_with(
        conversation.tick(190.0, heard=10.0), ErrorType.IDLE_TIMEOUT, "neither audio nor a ping within 180 seconds"
    )


def test_an_hour_without_audio_has_three_warnings() -> None:
    conversation = running()
    told = []
    for minute in range(1, 61):
        now = minute * MINUTE
        told += [(minute, body) for body in bodies(conversation.tick(now, heard=now))]
    assert [(minute, body["type"]) for minute, body in told] == [(at, "idle_timeout") for at in (45, 50, 55, 60)]
    assert told[0][1]["reason"] == "Session will timeout in 15m due to inactivity, no audio sent within the last 45m"
    assert told[3][1]["message"] == "Error"
    assert conversation.error is ErrorType.IDLE_TIMEOUT


def test_audio_starts_the_hour_again() -> None:
    conversation = running()
    assert names(conversation.tick(45 * MINUTE, heard=45 * MINUTE)) == ["Warning idle_timeout"]
    conversation.take(m.AddAudio(data=b"x"), 46 * MINUTE)
    assert conversation.tick(60 * MINUTE, heard=60 * MINUTE) == []
    assert names(conversation.tick(91 * MINUTE, heard=91 * MINUTE)) == ["Warning idle_timeout"]


def test_a_session_has_48_hours_and_three_warnings() -> None:
    conversation = running()
    told = []
    for minute in range(1, 48 * 60 + 1):
        now = minute * MINUTE
        conversation.take(m.AddAudio(data=b"x"), now)
        told += [(48 * 60 - minute, body) for body in bodies(conversation.tick(now, heard=now))]
    assert [(left, body["type"]) for left, body in told] == [(left, "session_timeout") for left in (45, 30, 15, 0)]
    assert told[0][1]["reason"] == "Session will timeout in 45m due to max duration, session has been active for 2835m"
    assert told[3][1]["reason"] == "the session has reached its maximum of 48 hours"
    assert CLOSE[ErrorType.SESSION_TIMEOUT] == (1008, "policy_violation")


def test_a_session_that_drains_has_no_limit() -> None:
    conversation = draining()
    assert conversation.due(0.0) is None
    assert conversation.tick(100 * HOUR, heard=0.0) == []


def test_warnings_that_a_short_limit_leaves_no_time_for_are_left_out() -> None:
    conversation = running(limits=Limits(session=20 * MINUTE, idle=4 * MINUTE, silence=HOUR))
    assert conversation.due(0.0) == 4 * MINUTE
    conversation.take(m.AddAudio(data=b"x"), 4 * MINUTE)
    assert names(conversation.tick(5 * MINUTE, heard=5 * MINUTE)) == ["Warning session_timeout"]
