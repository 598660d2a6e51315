"""Wyoming's events: what is read, and what is too much."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.wire.wyoming import events, requests
from sottovoce.wire.wyoming.events import MAX_HEADER, Event, EventParser, Malformed, encode

AUDIO = {"rate": 16_000, "width": 2, "channels": 1}


def fed(raw: bytes, size: int) -> list[Event]:
    parser = EventParser()
    return [event for at in range(0, len(raw), size) for event in parser.feed(raw[at : at + size])]


@given(st.integers(1, 40), st.binary(max_size=50), st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3))
def test_events_arrive_whole_however_they_are_cut(size: int, payload: bytes, data: dict[str, int]) -> None:
    sent = [Event(type="audio-chunk", data=data, payload=payload), Event(type="audio-stop")]
    assert fed(b"".join(map(encode, sent)), size) == sent


def test_data_in_the_line_and_behind_it_are_one() -> None:
    line = json.dumps({"type": "x", "data": {"a": 1, "b": 1}, "data_length": 7}).encode()
    assert fed(line + b'\n{"b":2}', 9) == [Event(type="x", data={"a": 1, "b": 2})]


@pytest.mark.parametrize(
    "raw",
    [
        b"x" * (MAX_HEADER + 1),
        b"x" * (MAX_HEADER + 1) + b"\n",
        b"not json\n",
        b"[]\n",
        b"{}\n",
        b'{"type": 5}\n',
        b'{"type": "x", "data": [1]}\n',
        b'{"type": "x", "data_length": 65537}\n',
        b'{"type": "x", "payload_length": 1048577}\n',
        b'{"type": "x", "payload_length": -1}\n',
        b'{"type": "x", "payload_length": 1.5}\n',
        b'{"type": "x", "payload_length": true}\n',
        b'{"type": "x", "data_length": 2}\n[]',
        b'{"type": "x", "data": ' + b"[" * 8000 + b"]" * 8000 + b"}\n",
        b"\xff\xfe\n",
    ],
)
def test_what_is_malformed_or_too_much_ends_the_connection(raw: bytes) -> None:
    with pytest.raises(Malformed):
        fed(raw, 4096)


@given(st.binary(max_size=400))
def test_any_bytes_are_events_or_malformed(raw: bytes) -> None:
    try:
        fed(raw, 64)
    except Malformed:
        return


@pytest.mark.parametrize(
    "data",
    [
        {},
        {**AUDIO, "rate": 0},
        {**AUDIO, "rate": "16000"},
        {**AUDIO, "width": 4},
        {**AUDIO, "channels": 9},
        {**AUDIO, "rate": 10**30},
        {**AUDIO, "channels": True},
    ],
)
def test_audio_that_is_not_supported_is_named(data: dict[str, object]) -> None:
    with pytest.raises(Malformed, match="audio"):
        requests.audio_format(Event(type="audio-start", data=data))


def test_a_request_of_home_assistant() -> None:
    asked = requests.transcribe(
        Event(
            type="transcribe",
            data={"language": "en-US", "transcript_names": ["Küche"], "transcript_terms": ["Thermomix"]},
        )
    )
    start = requests.start_recognition(asked, requests.AudioFormat(rate=16_000, channels=1), "de", 1.0)
    assert start["transcription_config"]["language"] == "en"
    assert start["transcription_config"]["additional_vocab"] == [{"content": "Küche"}, {"content": "Thermomix"}]
    assert (
        requests.start_recognition(requests.Transcribe(), requests.AudioFormat(rate=8_000, channels=1), "de", 1.0)[
            "transcription_config"
        ]["language"]
        == "de"
    )
    for wrong in ({"language": 5}, {"transcript_names": "x"}, {"transcript_terms": [1]}):
        with pytest.raises(Malformed):
            requests.transcribe(Event(type="transcribe", data=wrong))


def test_the_first_channel_is_used_and_half_samples_are_dropped() -> None:
    assert requests.mono(b"\x01\x00\x02\x00\x03\x00\x04\x00\x05", 2) == b"\x01\x00\x03\x00"
    assert requests.mono(b"\x01\x00\x02", 1) == b"\x01\x00"


def test_what_is_sent_can_be_read() -> None:
    sent = [
        events.info(["en"], "1"),
        events.transcript("a", "en"),
        events.error("x", "y"),
        events.pong(None),
        events.transcript_stop(),
    ]
    assert [event.type for event in fed(b"".join(map(encode, sent)), 7)] == [
        "info",
        "transcript",
        "error",
        "pong",
        "transcript-stop",
    ]
