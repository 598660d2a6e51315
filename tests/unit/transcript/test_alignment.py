"""The stored form of an alignment: what is written is read back, anything else is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.transcript import alignment
from sottovoce.transcript.alignment import AlignedWord, Alignment
from tests.unit.transcript.transcript_values import text

whole = st.integers(0, 2**45)


@st.composite
def aligned_words(draw: st.DrawFn) -> AlignedWord:
    first, start = draw(whole), draw(whole)
    return AlignedWord(
        first=first,
        last=first + draw(st.integers(0, 99)),
        start=start,
        end=start + draw(whole),
        bridged=draw(st.booleans()),
    )


alignments = st.builds(
    Alignment,
    language=text,
    duration=whole,
    created_at=whole,
    engine=text,
    words=st.lists(aligned_words(), max_size=5).map(tuple),
)

SMALL = Alignment(
    language="en",
    duration=16_000,
    created_at=7,
    engine="é",
    words=(
        AlignedWord(first=0, last=5, start=1_600, end=3_200),
        AlignedWord(first=6, last=7, start=3_200, end=3_360, bridged=True),
    ),
)


def altered(**members: object) -> bytes:
    return json.dumps(json.loads(alignment.encode(SMALL)) | members).encode()


@given(alignments)
def test_what_is_stored_is_read_back(given_: Alignment) -> None:
    assert alignment.decode(alignment.encode(given_)) == given_


def test_form() -> None:
    stored = '{"v":1,"l":"en","d":16000,"t":7,"r":"é","f":[0,6],"n":[5,1],"s":[1600,3200],"e":[1600,160],"b":[1]}'
    assert alignment.encode(SMALL).decode() == stored


def test_an_hour_of_words_stays_small() -> None:
    many = tuple(AlignedWord(first=n * 6, last=n * 6 + 5, start=n * 6_400, end=n * 6_400 + 5_000) for n in range(9_000))
    stored = alignment.encode(Alignment(language="en", duration=57_600_000, created_at=0, words=many))
    assert len(stored) < 25 * len(many)


def test_coverage_is_the_share_of_words_that_were_found() -> None:
    assert SMALL.coverage == 0.5
    assert Alignment(language="en", duration=0, created_at=0).coverage == 0.0


@given(st.binary(max_size=64))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        alignment.decode(data)


@given(st.data())
def test_one_wrong_byte_never_does_worse_than_a_refusal(data: st.DataObject) -> None:
    stored = bytearray(alignment.encode(SMALL))
    stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = alignment.decode(bytes(stored))
    except ValueError:
        return
    assert alignment.decode(alignment.encode(found)) == found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"v":' * 50_000,
        b'{"v":1}',
        b'{"v":1,"l":"en","d":' + b"9" * 5_000 + b"}",
        alignment.encode(SMALL)[:-1],
        alignment.encode(SMALL) + b"x",
        altered(v=2),
        altered(v=0),
        altered(v="1"),
        altered(v=None),
        altered(v=True),
        altered(v=1.0),
        altered(x=1),
        altered(l=None),
        altered(l=["en"]),
        altered(r=7),
        altered(d=-1),
        altered(d="16000"),
        altered(d=1.5),
        altered(d=True),
        altered(d=None),
        altered(t=float("nan")),
        altered(t=[7]),
        altered(f=None),
        altered(f={"0": 1}),
        altered(f="06"),
        altered(f=[0]),
        altered(n=[5, 1, 1]),
        altered(s=[1600, -1]),
        altered(e=[1600, 160.0]),
        altered(s=[[1600], 3200]),
        altered(b=["1"]),
        altered(b=[True]),
        altered(b=[2]),
        altered(b=1),
    ],
)
def test_hostile_bytes_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        alignment.decode(data)


@pytest.mark.parametrize("member", sorted(json.loads(alignment.encode(SMALL))))
def test_nothing_may_be_missing(member: str) -> None:
    raw = json.loads(alignment.encode(SMALL))
    del raw[member]
    with pytest.raises(ValueError):
        alignment.decode(json.dumps(raw).encode())


def test_the_message_quotes_nothing_of_the_data() -> None:
    for data in (altered(l=[{"secret": 1}]), altered(secret="secret"), altered(f=["secret"]), altered(v="secret")):
        with pytest.raises(ValueError) as caught:
            alignment.decode(data)
        assert "secret" not in str(caught.value)
