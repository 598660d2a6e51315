"""The protocol of a voice agent's session, without a socket (contract `agent-stt.md`)."""

from dataclasses import replace
from typing import Any

import pytest

from sottovoce.inference import live_events as live
from sottovoce.realtime.conversation import (
    Admitted,
    Close,
    Feed,
    Finish,
    Force,
    Limits,
    Output,
    ReportSpeakers,
    Send,
    State,
)
from sottovoce.realtime.turns import AgentConversation
from sottovoce.request import AudioFormat, AudioType, Diarization, Encoding, LiveRequest, TurnDetection, Turns
from sottovoce.transcript.model import RATE, Speaker, Word
from sottovoce.wire.realtime import messages as m
from sottovoce.wire.realtime.config import ConfigWarning, Started
from sottovoce.wire.realtime.errors import ErrorType, WarningType

AUDIO = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_S16LE, sample_rate=RATE)
VAD = LiveRequest(language="en", audio=AUDIO, enable_partials=True, turns=Turns())
EXTERNAL = replace(VAD, turns=Turns(detection=TurnDetection.EXTERNAL))
USAGE = Admitted(usage=1, quota=5, at="2026-01-01T00:00:00Z", region="eu")
HELLO = (Word(text="hello", start=1600, end=8000),)
PARTIAL = live.Partial(channel=0, start=1600, end=8000, items=HELLO)
FINAL = live.Final(channel=0, start=1600, end=8000, items=HELLO)
END = live.UtteranceEnd(channel=0, at=9600, forced=False)


def running(request: LiveRequest = VAD, *warnings: ConfigWarning) -> tuple[AgentConversation, list[dict[str, Any]]]:
    """A session that has begun, and what it sent."""
    found = AgentConversation(session_id="id-1", version="1.0", opened_at=0.0)
    sent: list[dict[str, Any]] = []
    started = Started(request=request, config={"language": request.language}, warnings=warnings)
    for message in (m.StartRecognition(started=started), USAGE, live.Opened()):
        sent += bodies(found.take(message, 0.0))
    assert found.state is State.RUNNING
    return found, sent


def bodies(outputs: list[Output]) -> list[dict[str, Any]]:
    return [output.body for output in outputs if isinstance(output, Send)]


def names(outputs: list[Output]) -> list[str]:
    return [body["message"] for body in bodies(outputs)]


def test_the_first_messages_are_closed_objects() -> None:
    warnings = [ConfigWarning(type=WarningType.VALIDATION_WARNING, reason="x has no effect")]
    speaker = ConfigWarning(type=WarningType.SPEAKER_ID, reason="speakers is ignored")
    _, sent = running(VAD, *warnings, speaker)
    assert [body["message"] for body in sent] == ["Info", "Warning", "Warning", "RecognitionStarted", "Info"]
    assert sent[1] == {"message": "Warning", "reason": "x has no effect"}
    assert sent[2]["type"] == "speaker_id"
    assert set(sent[0]) == {"message", "type", "reason"}
    assert set(sent[3]["language_pack_info"]) == {"word_delimiter", "writing_direction"}
    assert sent[4]["quality"] == "broadcast"


def test_the_first_words_begin_a_turn_and_its_end_is_its_last_message() -> None:
    conversation, _ = running()
    assert names(conversation.take(live.SpeechStarted(channel=0, at=1600), 1.0)) == ["SpeechStarted"]
    assert names(conversation.take(PARTIAL, 1.0)) == ["StartOfTurn", "AddPartialSegment"]
    assert names(conversation.take(PARTIAL, 1.0)) == ["AddPartialSegment"]
    assert names(conversation.take(FINAL, 1.0)) == ["AddSegment"]
    assert bodies(conversation.take(live.SpeechEnded(channel=0, at=8000), 1.0)) == [
        {"message": "SpeechEnded", "metadata": {"end_time": 0.5}}
    ]
    assert bodies(conversation.take(END, 1.0)) == [{"message": "EndOfTurn", "metadata": {"end_time": 0.6}}]
    assert conversation.take(END, 1.0) == [], "no turn is open"


def test_without_partials_the_turn_still_begins_with_its_first_word() -> None:
    conversation, _ = running(replace(VAD, enable_partials=False))
    assert names(conversation.take(PARTIAL, 1.0)) == ["StartOfTurn"]
    assert names(conversation.take(PARTIAL, 1.0)) == []


def test_nothing_empty_is_sent() -> None:
    conversation, _ = running()
    empty = live.Partial(channel=0, start=0, end=0, items=())
    assert conversation.take(empty, 1.0) == []
    assert conversation.take(replace(FINAL, items=()), 1.0) == []
    assert conversation.take(END, 1.0) == []


def test_speech_is_reported_only_where_silence_ends_turns() -> None:
    conversation, _ = running(EXTERNAL)
    assert conversation.take(live.SpeechStarted(channel=0, at=0), 1.0) == []
    assert conversation.take(live.SpeechEnded(channel=0, at=0), 1.0) == []


def test_a_forced_end_passes_its_time_on_once() -> None:
    conversation, _ = running(EXTERNAL)
    assert conversation.take(m.ForceEndOfUtterance(timestamp=2.5), 1.0) == [Force(at=40_000)]
    assert names(conversation.take(m.ForceEndOfUtterance(timestamp=2.5), 1.0)) == ["Warning"]
    assert conversation.take(m.ForceEndOfUtterance(), 1.0) == [Force(at=None)]
    assert conversation.take(m.ForceEndOfUtterance(timestamp=1e12), 1.0) == [Force(at=int(1e6) * RATE)]


def test_a_forced_end_is_ignored_where_silence_ends_turns() -> None:
    conversation, _ = running()
    assert names(conversation.take(m.ForceEndOfUtterance(timestamp=2.5), 1.0)) == ["Warning"]


def test_an_unknown_speaker_is_named_only_with_diarization() -> None:
    conversation, _ = running(replace(VAD, diarization=Diarization.SPEAKER))
    assert bodies(conversation.take(FINAL, 1.0))[-1]["segment"] == {"transcript": "hello", "speaker": "UU"}
    conversation, _ = running()
    assert bodies(conversation.take(FINAL, 1.0))[-1]["segment"] == {"transcript": "hello"}


def test_a_segment_names_its_speaker_and_a_partial_one_of_two_has_none() -> None:
    """§3, §4: `speaker` only when attributed."""
    conversation, _ = running(replace(VAD, diarization=Diarization.SPEAKER))
    one, two = Word(text="hello", start=0, end=8000, speaker="S1"), Word(text="hi", start=8000, end=9000, speaker="Ada")

    def segment(event: live.Final | live.Partial) -> dict[str, Any]:
        return dict(bodies(conversation.take(event, 1.0))[-1]["segment"])

    assert segment(live.Partial(channel=0, start=0, end=8000, items=(one,))) == {"transcript": "hello", "speaker": "S1"}
    assert segment(live.Partial(channel=0, start=0, end=9000, items=(one, two))) == {"transcript": "hello hi"}
    assert segment(live.Final(channel=0, start=8000, end=9000, items=(two,))) == {"transcript": "hi", "speaker": "Ada"}


def test_the_speakers_are_told_now_and_at_the_end() -> None:
    """§2: `GetSpeakers` has `final`."""
    conversation, _ = running(replace(VAD, diarization=Diarization.SPEAKER))
    assert conversation.take(m.GetSpeakers(), 1.0) == [ReportSpeakers()]
    ada = Speaker(label="Ada", prints=("v1.x",))
    result = {"message": "SpeakersResult", "speakers": [{"label": "Ada", "speaker_identifiers": ["v1.x"]}]}
    assert bodies(conversation.take(live.Speakers(speakers=(ada,)), 1.0)) == [result]
    assert conversation.take(m.GetSpeakers(final=True), 1.0) == []
    conversation.take(m.EndOfStream(), 1.0)
    assert conversation.take(live.Speakers(speakers=(ada,), final=True), 1.0) == []
    assert bodies(conversation.take(live.Finished(), 1.0)) == [result, {"message": "EndOfTranscript"}]


def test_the_session_ends_with_the_end_of_the_transcript() -> None:
    conversation, _ = running()
    conversation.take(m.GetSpeakers(final=True), 1.0)
    audio = conversation.take(m.AddAudio(data=b"\0\0"), 1.0)
    assert [type(output) for output in audio] == [Feed]
    assert conversation.take(m.EndOfStream(), 1.0) == [Finish()]
    assert names(conversation.take(FINAL, 1.0)) == ["StartOfTurn", "AddSegment"]
    assert names(conversation.take(END, 1.0)) == ["EndOfTurn"]
    ended = conversation.take(live.Finished(), 1.0)
    assert names(ended) == ["SpeakersResult", "EndOfTranscript"]
    assert ended[-1] == Close(code=1000, reason="")


def test_a_start_that_never_comes_has_an_error_of_its_own() -> None:
    conversation = AgentConversation(session_id="id-1", version="1.0", opened_at=0.0, limits=Limits(start=10))
    ended = conversation.tick(10.0, 0.0)
    assert bodies(ended)[0]["type"] == "start_recognition_timeout"
    assert ended[-1] == Close(code=1008, reason="policy_violation")


@pytest.mark.parametrize("error", list(ErrorType))
def test_every_refusal_has_a_close_code(error: ErrorType) -> None:
    from sottovoce.wire.realtime.errors import CLOSE, SessionRefused

    conversation, _ = running()
    ended = conversation.take(SessionRefused(error, "why"), 1.0)
    assert ended[-1] == Close(code=CLOSE[error][0], reason=CLOSE[error][1])
