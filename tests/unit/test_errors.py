import re
from pathlib import Path

import pytest

from sottovoce.errors import EngineUnavailable, Kind, MediaUnreadable, Refused
from sottovoce.wire.v2 import errors as wire
from sottovoce.wire.v2.errors import INTERNAL, OUTSIDE_THE_LIST, PUBLISHED, V2, v2_error


def test_every_kind_has_an_answer() -> None:
    assert set(V2) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_every_word_is_published_or_shown_elsewhere_by_the_contract(kind: Kind) -> None:
    _, word = V2[kind]
    assert (word in PUBLISHED) is (kind not in OUTSIDE_THE_LIST)


def test_the_exceptions_are_exactly_the_contracts() -> None:
    # §3.1: 404 without a route and 429 on this API have words of their own; §3.3: a bad query's text is the word
    assert {kind: V2[kind] for kind in OUTSIDE_THE_LIST} == {
        Kind.PAGE_NOT_FOUND: (404, "Page Not Found"),
        Kind.RATE_LIMITED: (429, "Rate Limited"),
        Kind.INVALID_QUERY: (422, ""),
    }


@pytest.mark.shared
def test_the_published_words_are_the_contracts(shared: Path) -> None:
    text = (shared / "contract" / "batch-v2.md").read_text(encoding="utf-8")
    for word in PUBLISHED | {"Page Not Found"}:
        assert word in text, word


@pytest.mark.parametrize("kind", Kind)
def test_statuses_are_errors_and_bodies_say_so(kind: Kind) -> None:
    status, body = v2_error(Refused(kind, "because", at="some.field"))
    assert 400 <= status <= 599
    assert status != 500  # those are ours, and are never refusals
    assert body["code"] == status
    assert isinstance(body["error"], str)
    assert body["error"]
    assert set(body) <= {"code", "error", "detail"}
    assert "some.field: because" in body.get("detail", body["error"])


@pytest.mark.parametrize("kind", Kind)
def test_without_a_reason_there_is_no_empty_detail(kind: Kind) -> None:
    _, body = v2_error(Refused(kind))
    assert body.get("detail", "x")


def test_an_invalid_config_has_the_services_sentence() -> None:
    _, body = v2_error(Refused(Kind.INVALID_CONFIG, "is unknown", at="transcription_config.language"))
    assert body["detail"] == f"{wire.CONFIG_INVALID}. Error: transcription_config.language: is unknown"
    assert v2_error(Refused(Kind.INVALID_CONFIG))[1]["detail"] == wire.CONFIG_INVALID


def test_our_own_failures_tell_nothing() -> None:
    assert INTERNAL == (500, {"code": 500, "error": "Internal Server Error"})
    assert INTERNAL[1]["error"] in PUBLISHED


def test_detail_names_the_field_first() -> None:
    assert Refused(Kind.BAD_REQUEST, "why", at="field").detail == "field: why"
    assert Refused(Kind.BAD_REQUEST, "why").detail == "why"
    assert str(Refused(Kind.BAD_REQUEST, "why", at="field")) == "bad_request: field: why"


def test_refusals_far_from_the_edge_have_their_kind() -> None:
    assert MediaUnreadable("no audio").kind is Kind.INVALID_AUDIO
    unavailable = EngineUnavailable("run `models pull`")
    assert (unavailable.kind, unavailable.at) == (Kind.INVALID_CONFIG, "transcription_config.language")


def test_kinds_are_words() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", kind) for kind in Kind)
