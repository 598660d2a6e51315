import email
import email.policy
import json
from email.message import Message
from typing import Any

import pytest
from multipart import PushMultipartParser

from sottovoce.job import Reason, State
from sottovoce.wire.config_values import CONTENTS as ACCEPTED
from sottovoce.wire.notifications import body as wire
from sottovoce.wire.notifications.body import CONTENTS, Layout, Names, Output, Status
from sottovoce.wire.v2.job import JobView

ID = "q7f3k2m9xa"
NAMES = Names(job_id=ID, data_name="Interview 3.WAV")
EVERYTHING = frozenset(CONTENTS.values())
FAILED = frozenset({Output.JOBINFO, Output.DATA})
"""What a transcription job has to give that failed after its media had come."""

JSON, TEXT = "application/json", "text/plain; charset=utf-8"


def laid(contents: list[str] | None, has: frozenset[str] = EVERYTHING, names: Names = NAMES) -> Layout:
    return wire.layout(contents, names, has, wire.TRANSCRIPT)


# ── layout (contract §9.2) ──


@pytest.mark.parametrize(
    ("contents", "filename", "content_type"),
    [
        (["jobinfo"], f"{ID}.json", JSON),
        (["transcript"], f"{ID}.json", JSON),
        (["transcript.json-v2"], f"{ID}.json", JSON),
        (["transcript.txt"], f"{ID}.txt", TEXT),
        (["transcript.srt"], f"{ID}.srt", TEXT),
        (["data"], "Interview 3.WAV", "audio/wav"),
        (["text"], f"{ID}.txt", TEXT),
        (["alignment"], f"{ID}.txt", TEXT),
        (["alignment.one_per_line"], f"{ID}.txt", TEXT),
    ],
)
def test_one_item_is_sent_raw_as_what_it_is(contents, filename, content_type):
    made = laid(contents)
    assert not made.multipart
    (part,) = made.parts
    assert (part.name, part.filename, part.content_type) == (contents[0], filename, content_type)
    assert wire.content_type(made, "b") == content_type


def test_absent_contents_are_the_transcript_as_a_file():
    made = laid(None)
    assert made.multipart
    (part,) = made.parts
    assert (part.name, part.output, part.filename) == ("data_file", wire.TRANSCRIPT, f"{ID}.json")


def test_absent_contents_of_an_alignment_are_the_aligned_text():
    made = wire.layout(None, NAMES, EVERYTHING, Output.WORDS)
    assert [(part.name, part.output) for part in made.parts] == [("data_file", Output.WORDS)]


def test_an_empty_list_sends_nothing():
    made = laid([])
    assert made == Layout(parts=(), multipart=False)
    assert wire.content_type(made, "b") is None
    assert wire.length(made, [], "b") == 0


def test_several_items_are_parts_of_these_names_in_this_order():
    made = laid(["transcript.srt", "jobinfo", "data"])
    assert made.multipart
    assert [part.name for part in made.parts] == ["transcript.srt", "jobinfo", "data"]


def test_every_value_that_a_config_may_hold_is_known():
    assert set(CONTENTS) == set(ACCEPTED)


@pytest.mark.parametrize(
    ("contents", "names", "multipart"),
    [
        (None, ["jobinfo"], True),
        (["transcript"], ["jobinfo"], False),
        (["transcript.txt"], ["jobinfo"], False),  # the vendor's sample receiver
        (["data"], ["data"], False),
        (["transcript", "transcript.txt"], ["jobinfo"], True),
        (["transcript", "jobinfo"], ["jobinfo"], True),
        (["data", "transcript", "jobinfo"], ["data", "jobinfo"], True),
        ([], [], False),
    ],
)
def test_a_failed_job_keeps_the_layout_and_sends_what_there_is_or_jobinfo(contents, names, multipart):
    made = laid(contents, FAILED)
    assert [part.name for part in made.parts] == names
    assert made.multipart is multipart


def test_a_failed_raw_text_is_told_as_json():
    made = laid(["transcript.txt"], FAILED)
    assert wire.content_type(made, "b") == JSON


@pytest.mark.parametrize(
    ("name", "filename", "content_type"),
    [
        ("", ID, "application/octet-stream"),
        ("talk", "talk", "application/octet-stream"),
        ("talk.exe", "talk.exe", "application/octet-stream"),
        ("a.b.FLAC", "a.b.FLAC", "audio/flac"),
        ("x.mp4", "x.mp4", "video/mp4"),
    ],
)
def test_media_is_called_what_it_came_as_and_typed_from_a_table(name, filename, content_type):
    (part,) = laid(["data"], names=Names(job_id=ID, data_name=name)).parts
    assert (part.filename, part.content_type) == (filename, content_type)


# ── framing ──


def body(made: Layout, contents: list[bytes], boundary: str) -> bytes:
    pieces = [
        wire.opening(part, boundary) + content + wire.AFTER for part, content in zip(made.parts, contents, strict=True)
    ]
    return b"".join(pieces) + wire.closing(boundary)


def parsed_by_email(content_type: str, data: bytes) -> list[tuple[str, str, str, Any]]:
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.message_from_bytes(head + data, policy=email.policy.HTTP)
    found = []
    for part in message.walk():
        if not part.is_multipart():
            assert isinstance(part, Message)
            name = part.get_param("name", header="content-disposition")
            found.append((str(name), str(part.get_filename()), part.get_content_type(), part.get_payload(decode=True)))
    return found


@pytest.mark.parametrize("contents", [[b"{}", b"1\n", b"\0\xff\r\n--b\r\n"], [b"", b"", b""]])
def test_parsers_that_are_not_ours_read_the_form(contents):
    made = laid(["transcript", "transcript.txt", "data"], names=Names(job_id=ID, data_name='a "b".wav'))
    boundary = "d3b07384d113edec"
    data = body(made, contents, boundary)
    assert len(data) == wire.length(made, [len(each) for each in contents], boundary)
    found = parsed_by_email(str(wire.content_type(made, boundary)), data)
    assert found == [
        ("transcript", f"{ID}.json", JSON, contents[0]),
        ("transcript.txt", f"{ID}.txt", "text/plain", contents[1]),
        ("data", "a %22b%22.wav", "audio/wav", contents[2]),
    ]
    with PushMultipartParser(boundary) as parser:
        events = [event for chunk in (data, b"") for event in parser.parse(chunk)]
    assert [event.name for event in events if hasattr(event, "filename")] == ["transcript", "transcript.txt", "data"]


@pytest.mark.parametrize("name", ['x"; name="y', "a\r\nContent-Type: text/html\r\n\r\n<b>", "ünï.wav"])
def test_a_strangers_file_name_cannot_break_the_frame(name):
    (part,) = laid(["data"], names=Names(job_id=ID, data_name=name)).parts
    opening = wire.opening(part, "b")
    assert opening.count(b"\r\n") == 4
    assert opening.count(b'"') == 4


# ── address (contract §9.1) ──


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://e.org/hook", "https://e.org/hook?id={}&status=success"),
        ("https://e.org", "https://e.org?id={}&status=success"),
        ("https://e.org/hook?a=b", "https://e.org/hook?a=b&id={}&status=success"),
        ("https://e.org/hook?", "https://e.org/hook?id={}&status=success"),
        ("https://e.org/hook?a=b&", "https://e.org/hook?a=b&id={}&status=success"),
        ("https://e.org/hook#part", "https://e.org/hook?id={}&status=success"),
        ("https://e.org/?q=%20&x=%C3%BC#a?b", "https://e.org/?q=%20&x=%C3%BC&id={}&status=success"),
        ("https://e.org/?id=mine", "https://e.org/?id=mine&id={}&status=success"),
    ],
)
def test_id_and_status_stand_at_the_end_of_the_query(url, expected):
    assert wire.address(url, ID, Status.SUCCESS) == expected.format(ID)


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        (State.DONE, None, "success"),
        (State.REJECTED, Reason.FETCH, "fetch_error"),
        (State.REJECTED, Reason.INVALID_AUDIO, "trim_error"),
        *((State.REJECTED, each, "error") for each in Reason if each not in {Reason.FETCH, Reason.INVALID_AUDIO}),
        (State.REJECTED, None, "error"),
    ],
)
def test_the_status_says_how_the_job_ended(state, reason, status):
    assert wire.status_of(state, reason) == status


def test_lines_of_callers_do_not_replace_what_is_ours_alone():
    lines = ["Authorization: Bearer x", "idempotency-key: mine", "Content-Type : text/html", "Broken"]
    kept = wire.callers_lines(lines, frozenset({"idempotency-key", "content-type"}))
    assert kept == ("Authorization: Bearer x", "Broken")


# ── jobinfo ──

CONFIG: dict[str, Any] = {
    "type": "transcription",
    "transcription_config": {"language": "en"},
    "tracking": {"title": "T", "tags": ["a"], "details": {"n": 1}, "reference": None},
    "fetch_data": {"url": "https://media.example/a.wav", "auth_headers": ["Authorization: hush-1"]},
    "notification_config": [
        {"url": "https://one.example/?token=hush-2", "auth_headers": ["X: hush-3"]},
        {"url": "https://two.example/", "contents": ["jobinfo"], "auth_headers": ["X: hush-4"]},
    ],
}


def view(config: object, state: State = State.REJECTED) -> JobView:
    return JobView(
        id=ID,
        state=state,
        created_at=1_700_000_000_000,
        data_name="a.wav",
        duration_ms=1500,
        config=config,
        errors=[(1_700_000_001_000, "no")],
    )


def test_jobinfo_has_the_job_at_its_top_with_config_status_and_tracking():
    told = wire.jobinfo(view(CONFIG), 1)
    assert list(told) == ["config", "created_at", "data_name", "duration", "errors", "id", "status", "tracking"]
    assert (told["id"], told["status"], told["duration"]) == (ID, "rejected", 2)
    assert told["tracking"] == {"title": "T", "tags": ["a"], "details": {"n": 1}}
    assert told["config"]["transcription_config"] == {"language": "en"}


def test_a_receiver_sees_its_own_entry_and_nobodys_credentials():
    told = wire.jobinfo(view(CONFIG), 1)
    assert told["config"]["notification_config"] == [{"url": "https://two.example/", "contents": ["jobinfo"]}]
    assert told["config"]["fetch_data"] == {"url": "https://media.example/a.wav"}
    assert "hush" not in json.dumps(told)
    assert "notification_config" not in wire.jobinfo(view(CONFIG))["config"]
    assert CONFIG["notification_config"][0]["auth_headers"] == ["X: hush-3"], "what was submitted is not touched"


@pytest.mark.parametrize(
    "config", [None, {}, {"notification_config": {"url": "u"}, "tracking": []}, {"notification_config": "x"}]
)
def test_jobinfo_takes_any_config(config):
    assert wire.jobinfo(view(config, State.DONE), 0)["status"] == "done"


# ── what is said of failures (contract §4), word for word ──


def test_the_words_of_the_contract():
    url = 'https://user:pass@e.org/h?a="b"&id=x&status=success'
    late = wire.timed_out("post", url)
    assert wire.entries(late, last=False) == (
        (
            "Error in sending notification: unable to send notification: HTTPError: Post "
            '"https://***@e.org/h?a=\\"b\\"&id=x&status=success": context deadline exceeded '
            "(Client.Timeout exceeded while awaiting headers), retrying"
        ),
    )
    assert wire.entries(wire.answered(500), last=False) == (
        "Error in sending notification: unable to send notification: Response status: 500, retrying",
    )
    assert wire.entries(wire.answered(500), last=True) == (
        "unable to send notification: unable to send notification: Response status: 500",
        "Sending notification failed",
    )
    assert wire.broken("put", "http://e.org/?id=x", "refused") == 'HTTPError: Put "http://e.org/?id=x": refused'
