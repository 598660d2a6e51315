"""What a V1 form asks for: the contract's order of checks, its limits, and what is kept of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import Kind, Refused
from sottovoce.request import Diarization, TranscriptionRequest
from sottovoce.wire.v1 import form
from sottovoce.wire.v1.form import LegacyRequest, Notify, Product
from sottovoce.wire.v2.config import parse_job_config

AVAILABLE = form.products(["en", "fr", "cmn"])


def parsed(**fields: str | bytes) -> LegacyRequest:
    raw = {name: value if isinstance(value, bytes) else value.encode() for name, value in fields.items()}
    return form.parse(raw, AVAILABLE)[0]


def refused(**fields: str | bytes) -> Kind:
    with pytest.raises(Refused) as refusal:
        parsed(**fields)
    return refusal.value.kind


def test_products_are_languages_and_the_spellings_of_english():
    assert sorted(product.name for product in AVAILABLE.values()) == ["cmn", "en", "en-AU", "en-GB", "en-US", "fr"]


@pytest.mark.parametrize("model", ["en", "en-US", "en-GB", "en-AU", "fr", "cmn"])
def test_a_product_is_known_by_its_name_and_shown_by_it(model):
    assert parsed(model=model.lower()).model == model


def test_a_product_stands_for_a_language_and_a_spelling():
    assert form.parse({"model": b"en-GB"}, AVAILABLE)[1] == Product(name="en-GB", language="en", locale="en-GB")


def test_little_is_enough():
    assert parsed(model="en") == LegacyRequest(model="en")


def test_everything_can_be_said():
    wanted = parsed(
        model="en-US", notification="email", notification_email_address="me@example.com", meta="x", diarisation="False", version="b7"
    )  # fmt: skip
    assert wanted == LegacyRequest(model="en-US", email="me@example.com", meta="x", diarisation=False, version="b7")


@pytest.mark.parametrize("fields", [{}, {"model": ""}, {"model": " "}])
def test_no_model_is_no_language(fields):
    assert refused(**fields, notification="carrier pigeon") is Kind.NO_LANGUAGE


@pytest.mark.parametrize("model", ["xx", "en-XX", "en_US", "auto", "../en", "e" * 5000])
def test_an_unknown_model_is_no_product(model):
    assert refused(model=model, notification="callback") is Kind.PRODUCT_NOT_AVAILABLE


@pytest.mark.parametrize("fields", [{}, {"callback": ""}, {"callback": " "}])
def test_a_callback_wants_an_address(fields):
    assert refused(model="en", notification="callback", **fields) is Kind.MISSING_CALLBACK


@pytest.mark.parametrize(
    "fields",
    [
        {"notification": "carrier pigeon"},
        {"diarisation": "perhaps"},
        {"diarisation": "1"},
        {"meta": "x" * 1025},
        {"meta": "a\0b"},
        {"meta": b"\xff"},
        {"notification_email_address": "nobody"},
        {"notification_email_address": "a@b.org\r\nBcc: c@d.org"},
        {"notification_email_address": "a@" + "b" * 300 + ".org"},
        {"callback": "http://e.org/" + "a" * 5000, "notification": "callback"},
    ],
)
def test_what_makes_no_sense_is_malformed(fields):
    assert refused(model="en", **fields) is Kind.MALFORMED


def test_meta_has_1024_characters_not_bytes():
    assert parsed(model="en", meta="ü" * 1024).meta == "ü" * 1024


def test_an_empty_meta_is_one():
    assert parsed(model="en", meta="").meta == ""


@pytest.mark.parametrize("notification", ["none", "callback"])
def test_an_address_beside_another_notification_is_not_heeded(notification):
    wanted = parsed(
        model="en", notification=notification, callback="http://e.org", notification_email_address="not even one"
    )
    assert wanted.email is None


def test_fields_of_others_are_not_looked_at():
    assert parsed(model="en", whatever=b"\xff\xfe") == LegacyRequest(model="en")


def test_case_of_diarisation_does_not_matter():
    assert parsed(model="en", diarisation="TRUE").diarisation is True


requests = st.builds(
    LegacyRequest,
    model=st.sampled_from([product.name for product in AVAILABLE.values()]),
    notification=st.sampled_from(Notify),
    email=st.none() | st.emails(),
    callback=st.none() | st.text(max_size=40),
    meta=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=1024),
    diarisation=st.booleans(),
    version=st.none() | st.text(max_size=10),
)


@given(requests)
def test_what_is_kept_is_read_back(request_):
    assert form.load(form.dump(request_)) == request_


@pytest.mark.parametrize("stored", [b"", b"{}", b"[]", b'{"notification": "x"}', b"\xff"])
def test_what_is_none_of_ours_is_a_value_error(stored):
    with pytest.raises(ValueError):
        form.load(stored)


@given(requests)
def test_any_request_is_a_good_config_of_v2(request_):
    product = AVAILABLE[request_.model.lower()]
    config = form.as_v2(request_, product, locale=product.locale in {None, "en-US"})
    made = parse_job_config(json.dumps(config).encode())
    assert isinstance(made, TranscriptionRequest)
    assert made.language == product.language
    assert made.diarization is (Diarization.SPEAKER if request_.diarisation else Diarization.NONE)
    assert made.notifications == ()  # V1's own notices are not told twice
    details: Any = config.get("tracking", {}).get("details", {})
    assert details.get("meta") == request_.meta


def test_a_spelling_that_nobody_here_has_is_left_out():
    product = AVAILABLE["en-gb"]
    config = form.as_v2(LegacyRequest(model="en-GB"), product, locale=False)
    assert "output_locale" not in config["transcription_config"]


def test_a_spelling_is_the_locale_of_v2():
    config = form.as_v2(LegacyRequest(model="en-US"), AVAILABLE["en-us"], locale=True)
    assert config["transcription_config"] == {"language": "en", "output_locale": "en-US", "diarization": "speaker"}


def test_a_selection_is_days_of_utc():
    chosen = form.selection({"limit": "3", "startdate": "2014-01-01", "enddate": "2014-01-02"})
    assert (chosen.limit, chosen.since, chosen.before) == (3, 1_388_534_400_000, 1_388_620_800_000)


@pytest.mark.parametrize("query", [{}, {"limit": "", "startdate": "", "enddate": ""}])
def test_nothing_said_selects_everything(query):
    assert form.selection(query) == form.Selection()


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "x"}, {"limit": "-1"}, {"limit": "1.5"}, {"limit": "٣"}, {"limit": "9" * 19},
        {"startdate": "2014-1-1"}, {"startdate": "20140101"}, {"startdate": "2014-02-30"}, {"startdate": "yesterday"},
        {"enddate": "2014-W01-1"}, {"enddate": "2014-01-01T00:00:00"}, {"enddate": "２０１４-01-01"},
    ],
)  # fmt: skip
def test_what_is_no_number_or_no_day_is_malformed(query):
    with pytest.raises(Refused) as refusal:
        form.selection(query)
    assert refusal.value.kind is Kind.MALFORMED


def test_unknown_fields_are_told_with_the_nearest_name():
    assert form.unknown_fields(["model", "notification", "text_file", "auth_token", "Meta", "callbak"]) == [
        "the form field 'Meta' is unknown and has no effect; the nearest known name is 'meta'",
        "the form field 'callbak' is unknown and has no effect; the nearest known name is 'callback'",
    ]
    assert len(form.unknown_fields(f"x{n}" for n in range(50))) == 10
