"""Identifiers: opaque, bound to whoever they were made for, and never a reason to fail."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.pipeline.diarization import MAX_PRINT, KnownVoice
from sottovoce.request import KnownSpeaker, SpeakerDiarization, TranscriptionRequest
from sottovoce.service.jobs.speaker_identifiers import MAX_IDENTIFIER, Scope, SpeakerIdentifiers, encrypted, known
from sottovoce.service.storage.encryption import Encryptor, new_key, read_keys, replace_keys
from sottovoce.transcript.model import Speaker, Transcript
from tests.unit.transcript.transcript_values import w

HERE = Scope(workspace_id=1, project_id=2, form="ears-1")
VAULT = Encryptor([new_key()])
OURS = SpeakerIdentifiers(VAULT)
IDENTIFIER = OURS.encrypt(HERE, b"print")


@given(st.binary(min_size=1, max_size=MAX_PRINT), st.integers(1, 2**40), st.none() | st.integers(1, 2**40))
def test_what_is_sealed_opens_where_it_was_made(print_, workspace_id, project_id):
    scope = Scope(workspace_id=workspace_id, project_id=project_id, form="ears-1")
    identifier = OURS.encrypt(scope, print_)
    assert re.fullmatch(r"v1\.[A-Za-z0-9_-]+", identifier)
    assert len(identifier) <= MAX_IDENTIFIER
    assert OURS.open(scope, identifier) == print_


def test_the_largest_print_in_the_longest_scope_fits():
    scope = Scope(workspace_id=2**63, project_id=2**63, form="x" * 100)
    assert OURS.open(scope, OURS.encrypt(scope, bytes(MAX_PRINT))) == bytes(MAX_PRINT)


def test_an_identifier_shows_nothing_and_is_another_each_time():
    print_ = b"a voice like no other"
    one, other = OURS.encrypt(HERE, print_), OURS.encrypt(HERE, print_)
    assert one != other
    for identifier in (one, other):
        public_text = base64.urlsafe_b64decode(identifier[3:] + "==")
        assert not any(hint in public_text for hint in (b"voice", b"ears"))


@pytest.mark.parametrize(
    "scope",
    [
        replace(HERE, workspace_id=2), replace(HERE, workspace_id=12), replace(HERE, project_id=3),
        replace(HERE, project_id=None), replace(HERE, form="ears-2"), replace(HERE, form="ears-1\n"),
        replace(HERE, form="ears"), Scope(workspace_id=2, project_id=1, form="ears-1"),
    ],
)  # fmt: skip
def test_it_is_good_nowhere_else(scope):
    assert OURS.open(scope, IDENTIFIER) is None


def test_a_scope_ends_where_its_print_begins():
    """No print can lend a scope its first bytes."""
    inner = replace(HERE, form="e")
    forged = OURS.encrypt(inner, b'ars-1"]\nprint')
    assert OURS.open(HERE, forged) is None
    assert OURS.open(inner, OURS.encrypt(inner, HERE.head + b"print")) == HERE.head + b"print"


@pytest.mark.parametrize(
    "identifier",
    [
        "", "v1.", "v1", IDENTIFIER[3:], "v2." + IDENTIFIER[3:], "V1." + IDENTIFIER[3:], IDENTIFIER[:-1],
        IDENTIFIER + "A", IDENTIFIER + "=", IDENTIFIER + "\n", " " + IDENTIFIER, IDENTIFIER + ".", "v1.é", "v1.\ud800",
        "v1.\0", "v1.A", "v1.AAAA", "v1." + "A" * MAX_IDENTIFIER, "v1." + "A" * (MAX_IDENTIFIER - 3), "x" * 1_000_000,
        IDENTIFIER[:40] + IDENTIFIER[41:], IDENTIFIER[:100] + IDENTIFIER[3:40],
    ],
)  # fmt: skip
def test_what_is_none_of_ours_opens_to_nothing(identifier):
    assert OURS.open(HERE, identifier) is None


@given(st.text())
def test_no_text_makes_it_fail(text):
    assert OURS.open(HERE, text) is None
    assert OURS.open(HERE, "v1." + text) is None


@given(st.integers(3, len(IDENTIFIER) - 3), st.sampled_from("ABCDwxyz0189-_"))
def test_no_character_can_be_changed(at, put):
    changed = IDENTIFIER[:at] + put + IDENTIFIER[at + 1 :]
    assert OURS.open(HERE, changed) == (b"print" if changed == IDENTIFIER else None)


def test_what_the_vault_sealed_for_another_purpose_is_no_print():
    text = VAULT.encrypt(b'{"type": "transcription"}').decode().rstrip("=")
    assert OURS.open(HERE, "v1." + text) is None


def test_keys_rotate(tmp_path: Path):
    path = tmp_path / "keys"
    prints = SpeakerIdentifiers(Encryptor.open_file(path, create=True))
    before = prints.encrypt(HERE, b"print")
    (old,) = read_keys(path)
    replace_keys(path, [new_key(), old])
    after = prints.encrypt(HERE, b"print")
    assert (prints.open(HERE, before), prints.open(HERE, after)) == (b"print", b"print")
    only_old = SpeakerIdentifiers(Encryptor([old]))
    assert (only_old.open(HERE, before), only_old.open(HERE, after)) == (b"print", None)


@pytest.mark.parametrize("print_", [b"", bytes(MAX_PRINT + 1)])
def test_what_is_no_print_is_not_sealed(print_):
    with pytest.raises(ValueError, match="print"):
        OURS.encrypt(HERE, print_)


def raw(print_: bytes) -> str:
    return base64.urlsafe_b64encode(print_).decode()


def test_a_transcript_leaves_with_identifiers_that_come_back_as_known_voices():
    speakers = (
        Speaker(label="Ada", pitch=201.5, prints=(raw(b"\xff\xfe a"), raw(b"b"))),
        Speaker(label="S1"),
        Speaker(label="S2", prints=(raw(b"c"),)),
    )
    transcript = Transcript(language="en", duration=9, created_at=1, items=(w("so"),), speakers=speakers)
    left = encrypted(transcript, HERE, OURS)
    assert replace(left, speakers=speakers) == transcript
    assert [(one.label, one.pitch, len(one.prints)) for one in left.speakers] == [
        ("Ada", 201.5, 2), ("S1", None, 0), ("S2", None, 1),
    ]  # fmt: skip
    asked = request(Ada=left.speakers[0].prints, Bob=(*left.speakers[2].prints, "v1.foreign", "older"))
    assert known(asked, HERE, OURS) == (
        (KnownVoice(label="Ada", prints=(b"\xff\xfe a", b"b")), KnownVoice(label="Bob", prints=(b"c",))),
        2,
    )


def request(**speakers: tuple[str, ...]) -> TranscriptionRequest:
    named = tuple(KnownSpeaker(label=label, speaker_identifiers=ids) for label, ids in speakers.items())
    return TranscriptionRequest(language="en", speaker_diarization=SpeakerDiarization(speakers=named))


def test_who_has_no_usable_identifier_is_not_known():
    assert known(request(Ada=("x", IDENTIFIER)), replace(HERE, project_id=3), OURS) == ((), 2)
    assert known(request(), HERE, OURS) == ((), 0)


def test_a_transcript_without_prints_stays_as_it_is():
    transcript = Transcript(language="en", duration=9, created_at=1, speakers=(Speaker(label="S1", pitch=99.0),))
    assert encrypted(transcript, HERE, OURS) is transcript


def test_the_head_names_what_it_is_for():
    assert json.loads(HERE.head) == ["voiceprint", 1, 2, "ears-1"]
