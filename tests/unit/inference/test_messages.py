import json
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import Kind
from sottovoce.inference import messages as m
from sottovoce.request import (
    AudioFiltering,
    Diarization,
    KnownSpeaker,
    LanguageIdentification,
    OperatingPoint,
    PunctuationOverrides,
    Replacement,
    SpeakerDiarization,
    Summarization,
    TranscriptionRequest,
    VocabEntry,
)

words = st.text(st.characters(codec="utf-8"), max_size=20)
samples = st.integers(0, 2**53)
requests = st.builds(
    TranscriptionRequest,
    language=words,
    operating_point=st.sampled_from(OperatingPoint),
    diarization=st.sampled_from(Diarization),
    additional_vocab=st.lists(st.builds(VocabEntry, content=words, sounds_like=st.tuples(words)), max_size=2).map(
        tuple
    ),
    punctuation=st.builds(
        PunctuationOverrides,
        sensitivity=st.floats(0, 1),
        permitted_marks=st.none() | st.frozensets(st.sampled_from(".,?!")),
    ),
    audio_filtering=st.none() | st.builds(AudioFiltering, volume_threshold=st.floats(0, 100)),
    replacements=st.lists(st.builds(Replacement, source=words, target=words), max_size=2).map(tuple),
    speaker_diarization=st.builds(
        SpeakerDiarization,
        speakers=st.tuples(st.builds(KnownSpeaker, label=words, speaker_identifiers=st.tuples(words))),
    ),
    language_identification=st.none() | st.builds(LanguageIdentification, expected_languages=st.tuples(words)),
    topics=st.none() | st.just(()) | st.tuples(words),
    audio_events=st.none() | st.just(()) | st.tuples(words),
    summarization=st.none() | st.builds(Summarization),
)
messages = st.one_of(
    st.builds(m.Transcribe, path=words, request=requests, windows=st.integers(0, 1000)),
    st.builds(m.Inspect, path=words),
    st.builds(m.WindowDone, channel=st.integers(0, 99), start=samples, end=samples),
    st.builds(m.Ready, seconds=st.floats(0, 1e6)),
    st.builds(
        m.Media, duration=st.none() | samples, channels=st.integers(1, 9), rate=samples, codec=words, container=words
    ),
    st.builds(m.Stage, name=words, note=words),
    st.builds(m.Progress, done=samples, total=st.none() | samples),
    st.builds(m.Finished, duration=samples, rss=samples),
    st.builds(m.Declined, refusal=st.sampled_from(Kind), why=words, at=st.none() | words),
    st.builds(m.Broken, error=words, why=words),
)


def taken_apart(frame: bytes) -> tuple[m.Message, bytes]:
    header, payload = m.lengths(frame[: m.PREFIX])
    assert len(frame) == m.PREFIX + header + payload
    return m.decode(frame[m.PREFIX : m.PREFIX + header]), frame[m.PREFIX + header :]


@given(message=messages, payload=st.binary(max_size=50))
def test_a_frame_holds_a_message_and_its_payload(message: m.Message, payload: bytes) -> None:
    assert taken_apart(m.encode(message, payload)) == (message, payload)


def test_every_kind_has_a_name_of_its_own() -> None:
    union = typing.get_args(m.Message)[0]
    kinds = [member.__dataclass_fields__["kind"].default for member in typing.get_args(union)]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"kind": "nonsense"}',
        b'{"kind": "progress"}',
        b'{"kind": "progress", "done": "many", "total": null}',
        b'{"kind": "finished", "duration": 1' + b"0" * 400,
        b'{"kind":' + b"[" * 100_000,
    ],
)
def test_a_hostile_header_is_a_value_error(header: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        m.decode(header)


@given(st.binary(max_size=200))
def test_noise_is_a_value_error_or_nothing(noise: bytes) -> None:
    for take in (m.decode, m.lengths):
        try:
            take(noise)
        except ValueError:
            pass
        else:
            assert take is m.lengths
            assert len(noise) == m.PREFIX


@pytest.mark.parametrize("prefix", [b"", b"\0" * 7, b"\0" * 9])
def test_a_prefix_has_its_length(prefix: bytes) -> None:
    with pytest.raises(ValueError, match="a frame begins with 8 bytes"):
        m.lengths(prefix)


@pytest.mark.parametrize(("header", "payload"), [(m.MAX_HEADER + 1, 0), (0, m.MAX_PAYLOAD + 1), (2**32 - 1, 2**32 - 1)])
def test_announced_sizes_are_bounded_before_anything_is_read(header: int, payload: int) -> None:
    with pytest.raises(ValueError, match="too large"):
        m.lengths(header.to_bytes(4, "big") + payload.to_bytes(4, "big"))
    m.lengths(m.MAX_HEADER.to_bytes(4, "big") + m.MAX_PAYLOAD.to_bytes(4, "big"))


def test_what_is_too_large_is_not_sent() -> None:
    with pytest.raises(ValueError, match="stage frame too large"):
        m.encode(m.Stage(name="x" * (m.MAX_HEADER + 1)))


def test_a_header_is_plain_json() -> None:
    frame = m.encode(m.Stage(name="recognise"), b"\0payload")
    header, _ = m.lengths(frame[: m.PREFIX])
    body = json.loads(frame[m.PREFIX : m.PREFIX + header])
    assert body == {"kind": "stage", "name": "recognise", "note": "", "trace": ""}
