import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.transcript import codec
from sottovoce.transcript.model import Attaches, Entity, Mark, Speaker, StageError, Transcript, Word
from tests.unit.transcript.transcript_values import any_times, lines, m, text, w

transcripts = st.builds(
    Transcript,
    language=text,
    duration=st.integers(0, 2**40),
    created_at=st.integers(0, 2**45),
    items=lines(any_times).map(tuple),
    channels=st.lists(text, max_size=3).map(tuple),
    engine=text,
    adapted=st.booleans(),
    errors=st.lists(st.builds(StageError, feature=text, type=text, message=text), max_size=2).map(tuple),
    speakers=st.lists(
        st.builds(
            Speaker, label=text, pitch=st.none() | st.floats(0, 500), prints=st.lists(text, max_size=2).map(tuple)
        ),
        max_size=2,
    ).map(tuple),
)

SMALL = Transcript(language="en", duration=5, created_at=7, items=(w("Hi"), m(".", 0.1)))


@given(transcripts)
def test_what_is_stored_is_read_back(transcript: Transcript) -> None:
    assert codec.decode(codec.encode(transcript)) == transcript


@given(lines(any_times))
def test_items_are_read_back(items) -> None:
    assert codec.decode_items(json.loads(json.dumps(codec.encode_items(items)))) == tuple(items)
    assert codec.load_items(codec.dump_items(items)) == tuple(items)


def test_form() -> None:
    entity = Entity(
        text="$2", entity_class="money", start=3, end=9, spoken=(Word(text="two", start=3, end=9),), written=(),
        confidence=0.0,
    )  # fmt: skip
    mark = Mark(text="“", at=3, attaches=Attaches.NEXT, speaker="S1")
    word = Word(
        text="é", start=0, end=3, confidence=0.5, language="fr", channel="left", volume=0.0, tags=("profanity",)
    )
    transcript = Transcript(
        language="fr", duration=10, created_at=1_700_000_000_000, items=(word, mark, entity), channels=("left",),
        engine="x", adapted=True, errors=(StageError(feature="translation", type="t", message="m"),),
        speakers=(Speaker(label="S1", pitch=118.5, prints=("cHJpbnQ=",)), Speaker(label="Ada")),
    )  # fmt: skip
    assert codec.encode(transcript).decode() == (
        '{"v":2,"l":"fr","d":10,"t":1700000000000,"h":["left"],"r":"x","a":true,'
        '"x":[{"f":"translation","t":"t","m":"m"}],'
        '"p":[{"l":"S1","f":118.5,"p":["cHJpbnQ="]},{"l":"Ada"}],"i":['
        '{"w":"é","s":0,"e":3,"c":0.5,"l":"fr","h":"left","v":0.0,"g":["profanity"]},'
        '{"m":"“","s":3,"a":"next","p":"S1"},'
        '{"x":"$2","k":"money","s":3,"e":9,"o":[{"w":"two","s":3,"e":9}],"n":[],"c":0.0}]}'
    )


def test_unknown_is_left_out_and_comes_back_as_none() -> None:
    data = codec.encode(SMALL)
    assert data == b'{"v":2,"l":"en","d":5,"t":7,"i":[{"w":"Hi","s":0,"e":1600},{"m":".","s":1600,"z":true}]}'
    assert codec.decode(data).items[0] == Word(text="Hi", start=0, end=1600)


def test_what_the_first_version_wrote_is_read() -> None:
    data = b'{"v":1,"l":"en","d":5,"t":7,"i":[{"w":"Hi","s":0,"e":1600},{"m":".","s":1600,"z":true}]}'
    assert codec.decode(data) == SMALL
    assert codec.load_items(b'{"v":1,"i":[{"w":"Hi","s":0,"e":1600}]}') == (w("Hi"),)


def test_the_first_version_knew_no_speakers() -> None:
    with pytest.raises(ValueError, match="unknown member"):
        codec.decode(b'{"v":1,"l":"en","d":5,"t":7,"p":[{"l":"S1"}]}')


def test_a_long_transcript_stays_small() -> None:
    chance = random.Random(1)
    items = tuple(
        Word(text="a" * chance.randint(1, 9), start=at, end=at + 4000, confidence=0.93, language="en", speaker="S1")
        for at in range(0, 480_000_000, 4800)
    )
    assert len(items) == 100_000
    data = codec.encode(Transcript(language="en", duration=480_000_000, created_at=0, items=items))
    assert len(data) < 7_500_000


def test_a_newer_version_is_named() -> None:
    with pytest.raises(ValueError, match=r"newer release \(version 4\).*up to version 3"):
        codec.decode(codec.encode(SMALL).replace(b'"v":2', b'"v":4'))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff", b"[]", b"null", b"{}", b"[" * 100_000, b'{"v":0}', b'{"v":true}', b'{"v":"1"}', b'{"v":1}',
        b'{"v":1,"l":"en","d":5,"t":7,"z":1}', b'{"v":1,"l":"en","d":5.0,"t":7}', b'{"v":1,"l":"en","d":true,"t":7}',
        b'{"v":1,"l":null,"d":5,"t":7}', b'{"v":1,"l":"en","d":5,"t":7,"i":{}}', b'{"v":1,"l":"en","d":5,"t":7,"i":[1]}',
        b'{"v":1,"l":"en","d":5,"t":7,"h":[1]}', b'{"v":1,"l":"en","d":5,"t":7,"a":1}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"w":"a","s":1}]}', b'{"v":1,"l":"en","d":5,"t":7,"i":[{"s":1,"e":1}]}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"w":"a","s":1,"e":2,"c":NaN}]}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"w":"a","s":1,"e":2,"c":1e999}]}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"w":"a","s":1,"e":2,"c":"1"}]}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"w":"a","s":1,"e":2,"c":1' + b"0" * 400 + b"}]}",
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"m":".","s":1,"a":"left"}]}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"m":".","s":1,"a":[]}]}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"m":".","w":"a","s":1,"e":2}]}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"x":"a","k":"c","s":1,"e":2,"n":[],"o":[{"x":"a"}]}]}',
        b'{"v":1,"l":"en","d":5,"t":7,"i":[{"x":"a","k":"c","s":1,"e":2,"n":[{"m":".","s":1}],"o":[]}]}',
        b'{"v":2,"l":"en","d":5,"t":7,"p":[{"f":100}]}', b'{"v":2,"l":"en","d":5,"t":7,"p":[{"l":"S1","f":"high"}]}',
        b'{"v":2,"l":"en","d":5,"t":7,"p":[{"l":"S1","p":"x"}]}', b'{"v":2,"l":"en","d":5,"t":7,"p":{}}',
    ],
)  # fmt: skip
def test_bad_data_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        codec.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[]", b'{"v":1}', b'{"v":4,"i":[]}', b'{"v":0,"i":[]}', b'{"v":true,"i":[]}', b'{"v":null,"i":[]}',
        b'{"v":1,"i":[],"x":1}', b'{"v":1,"i":3}',
    ],
)  # fmt: skip
def test_bad_windows_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        codec.load_items(data)


def test_the_error_does_not_quote_the_text() -> None:
    with pytest.raises(ValueError) as error:
        codec.decode(b'{"v":1,"l":"en","d":5,"t":7,"i":[{"w":"secret","s":1,"e":"secret"}]}')
    assert "secret" not in str(error.value)
    assert "word.end" in str(error.value)


@pytest.mark.parametrize("word", [w("\ud800"), w("a", confidence=float("nan"))])
def test_what_json_cannot_hold_is_refused(word: Word) -> None:
    with pytest.raises(ValueError):
        codec.dump_items([word])
