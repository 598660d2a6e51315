"""V1's answers against the samples of its page: same members, same order, same text."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.job import JobType, Reason, State
from sottovoce.transcript.model import Attaches, Entity, Item, Mark, Speaker, Transcript, Word, samples
from sottovoce.wire.v1 import errors, notification_texts, responses
from tests.unit.transcript.transcript_values import m, said, w


def ms(*when: int) -> int:
    return round(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


DONE = responses.LegacyView(
    number=2,
    user_id=1,
    type=JobType.TRANSCRIPTION,
    state=State.DONE,
    reason=None,
    lang="en-US",
    name="test.mp3",
    text_name=None,
    duration_ms=244_000,
    created_at=ms(2013, 12, 4, 16, 0, 47),
    notification="email",
    meta=None,
    diarisation=True,
    check_wait=30,
)
ALIGNING = replace(
    DONE,
    number=51807,
    user_id=22,
    type=JobType.ALIGNMENT,
    state=State.RUNNING,
    name="hello.wav",
    text_name="hello.txt",
    duration_ms=10_000,
    created_at=ms(2015, 8, 10, 9, 2, 23),
    meta="Project X",
)
NOW = ms(2015, 8, 10, 9, 3, 0)


def written(value: Any) -> str:
    return json.dumps(value, indent=2)


# ── samples ──


def test_a_finished_job_is_the_sample():
    assert written(responses.job_object(DONE, NOW)) == written({
        "check_wait": None,
        "created_at": "Wed, 04 Dec 2013 16:00:47 GMT",
        "duration": 244,
        "id": 2,
        "job_status": "done",
        "job_type": "transcription",
        "lang": "en-US",
        "meta": None,
        "name": "test.mp3",
        "next_check": 0,
        "notification": "email",
        "transcription": "test.json",
        "url": "/v1.0/user/1/jobs/2/audio",
        "user_id": 1,
    })  # fmt: skip


def test_a_running_alignment_job_is_the_sample_but_for_its_noise():
    """The sample's `next_check` is 0 although the job runs, and its `user_id` is not that of its `url` (contract §6)."""
    assert written(responses.job_object(ALIGNING, NOW)) == written({
        "alignment": None,
        "check_wait": 30,
        "created_at": "Mon, 10 Aug 2015 09:02:23 GMT",
        "duration": 10,
        "id": 51807,
        "job_status": "aligning",
        "job_type": "alignment",
        "lang": "en-US",
        "meta": "Project X",
        "name": "hello.wav",
        "next_check": NOW // 1000 + 30,
        "notification": "email",
        "text_name": "hello.txt",
        "url": "/v1.0/user/22/jobs/51807/audio",
        "user_id": 22,
    })  # fmt: skip


def test_an_accepted_job_is_the_sample():
    assert written(responses.accepted(number=20, cost=5, balance=95, wait=30)) == written({
        "balance": 95, "check_wait": 30, "cost": 5, "id": 20
    })  # fmt: skip


def test_a_user_is_the_sample():
    shown = responses.user_object(user_id=1, email="demo@speechmatics.com", balance=90)
    assert written(shown) == written({"user": {"balance": 90, "email": "demo@speechmatics.com", "id": 1}})


def test_a_user_without_an_address_shows_an_empty_one():
    assert responses.user_object(user_id=1, email=None, balance=0)["user"]["email"] == ""


@pytest.mark.parametrize(
    ("amount", "kind", "name", "said_of_it"),
    [
        (-12, "charge", "hello.wav", "Transcription of hello.wav"),
        (1000, "added", "", "1,000 credits added"),
        (-1000, "removed", "", "1,000 credits removed"),
        (-12, "charge", "", "Transcription"),
        (12, "refund", "hello.wav", "Refund: Transcription of hello.wav"),
        (12, "refund", "", "Refund: Transcription"),
    ],
)
def test_payments_are_described_as_in_the_sample(amount, kind, name, said_of_it):
    payment = responses.Payment(amount=amount, at=ms(2014, 1, 1, 9, 10), kind=kind, name=name)
    assert responses.payment_object(payment) == {
        "balance": amount,
        "created_at": "Wed, 01 Jan 2014 09:10:00 GMT",
        "description": said_of_it,
    }


def test_an_alignment_is_paid_for_as_one():
    payment = responses.Payment(amount=-1, at=0, kind="charge", name="a.wav", type=JobType.ALIGNMENT)
    assert responses.payment_object(payment)["description"] == "Alignment of a.wav"


def test_the_status_is_the_sample():
    shown = responses.status_object(
        responses.Condition(turnaround=5.2, queue=0.4, known_issues=False, slow=False, at=ms(2016, 1, 1, 0, 0))
    )
    # the sample says Monday; the first day of 2016 was a Friday
    assert written(shown) == written({
        "Average_Turnaround_Mins": 5,
        "Known_Issues": False,
        "Queue_Length_Mins": 0,
        "Status": "Good",
        "Time_UTC": "Fri, 01 Jan 2016 00:00:00 GMT",
    })  # fmt: skip


def test_a_slow_service_says_so():
    shown = responses.status_object(responses.Condition(turnaround=90, queue=45, known_issues=True, slow=True, at=0))
    assert (shown["Status"], shown["Known_Issues"], shown["Queue_Length_Mins"]) == ("Slow", True, 45)


def test_a_transcript_is_the_sample():
    view = replace(DONE, number=1, name="hello_world.mp3", duration_ms=2000, created_at=0)
    items = (
        w("Hello", 1, 2, confidence=0.943, speaker="S1"),
        w("world", 2, 3, confidence=0.995, speaker="S1"),
        m(".", 3),
    )
    shown = responses.transcript_object(Transcript(language="en", duration=48_000, created_at=0, items=items), view)
    assert written(shown) == written({
        "job": {
            "lang": "en-US",
            "user_id": 1,
            "name": "hello_world.mp3",
            "duration": 2,
            "created_at": "Thu Jan 01 00:00:00 1970",
            "id": 1,
        },
        "speakers": [{"duration": "2.000", "confidence": None, "name": "M1", "time": "1.000"}],
        "words": [
            {"duration": "1.000", "confidence": "0.943", "name": "Hello", "time": "1.000"},
            {"duration": "1.000", "confidence": "0.995", "name": "world", "time": "2.000"},
            {"duration": "0.000", "confidence": None, "name": ".", "time": "3.000"},
        ],
        "format": "1.0",
    })  # fmt: skip


# ── job objects ──


@pytest.mark.parametrize("type_", JobType)
@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_whoever_waits_gets_a_number_to_sleep_for(type_, state):
    shown = responses.job_object(replace(ALIGNING, type=type_, state=state), NOW)
    assert shown["check_wait"] == 30
    assert shown["next_check"] == NOW // 1000 + 30
    assert shown["transcription" if type_ is JobType.TRANSCRIPTION else "alignment"] is None


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        (State.DONE, None, "done"),
        (State.EXPIRED, None, "expired"),
        (State.EXPIRED, Reason.ENGINE, "expired"),
        (State.REJECTED, Reason.INVALID_AUDIO, "unsupported_file_format"),
        (State.REJECTED, Reason.NOT_ALIGNABLE, "could_not_align"),
        *((State.REJECTED, reason, "rejected") for reason in Reason if reason not in {
            Reason.INVALID_AUDIO, Reason.NOT_ALIGNABLE
        }),
    ],
)  # fmt: skip
def test_an_end_has_its_word_and_nothing_to_wait_for(state, reason, status):
    shown = responses.job_object(replace(DONE, state=state, reason=reason), NOW)
    assert (shown["job_status"], shown["check_wait"], shown["next_check"]) == (status, None, 0)
    assert shown["transcription"] == ("test.json" if reason is None else None)


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("test.mp3", "test.json"),
        ("a.b.c", "a.b.json"),
        ("noend", "noend.json"),
        (".hidden", ".hidden.json"),
        ("", ".json"),
    ],
)
def test_an_output_is_called_after_its_media(name, output):
    assert responses.job_object(replace(DONE, name=name), NOW)["transcription"] == output


def test_an_aligned_text_is_called_after_the_text():
    shown = responses.job_object(replace(ALIGNING, state=State.DONE, text_name="words.docx"), NOW)
    assert (shown["alignment"], shown["text_name"]) == ("words.txt", "words.docx")
    assert "transcription" not in shown


def test_dates_are_english_and_padded():
    assert responses.rfc1123(ms(2024, 2, 3, 4, 5, 6) + 999) == "Sat, 03 Feb 2024 04:05:06 GMT"
    assert responses.ctime(ms(2024, 2, 3, 4, 5, 6) + 999) == "Sat Feb 03 04:05:06 2024"


# ── transcripts ──


def rendered(*items: Item, **changes: Any) -> dict[str, Any]:
    transcript = Transcript(language="en", duration=160_000, created_at=0, items=items)
    return responses.transcript_object(transcript, replace(DONE, **changes))


def test_nothing_said_is_nothing_written():
    assert (rendered()["speakers"], rendered()["words"]) == ([], [])
    assert responses.transcript_text(Transcript(language="en", duration=0, created_at=0), DONE) == ""


def test_speakers_take_turns_and_are_numbered_as_they_come():
    items = [
        *said("yes , well .", speaker="S2"),
        *said("no", start=5, speaker="S1"),
        *said("but", start=6, speaker="S2"),
        *said("who", start=7, speaker="UU"),
        *said("ah", start=8, speaker="S2"),
    ]
    turns = [(turn["name"], turn["time"]) for turn in rendered(*items)["speakers"]]
    assert turns == [("M1", "0.000"), ("M2", "5.000"), ("M1", "6.000"), ("M1", "8.000")]


def test_a_high_voice_is_called_f_and_each_letter_counts_by_itself():
    pitches = {"S1": 210.0, "S2": 118.0, "S3": None, "S4": 165.0, "Ada": 164.9}
    speakers = tuple(Speaker(label=label, pitch=pitch) for label, pitch in pitches.items())
    items = [item for at, label in enumerate([*pitches, "S1", "S5"]) for item in said("so .", start=at, speaker=label)]
    transcript = Transcript(language="en", duration=160_000, created_at=0, items=tuple(items), speakers=speakers)
    shown = responses.transcript_object(transcript, DONE)
    assert [turn["name"] for turn in shown["speakers"]] == ["F1", "M1", "M2", "F2", "M3", "F1", "M4"]
    assert responses.transcript_text(transcript, DONE).startswith("SPEAKER: F1\nso.\n\nSPEAKER: M1\n")
    assert responses.transcript_object(transcript, replace(DONE, diarisation=False))["speakers"] == []


def test_every_word_of_a_speaker_lies_in_a_turn_of_that_speaker():
    items = [*said("a b c", speaker="S1"), *said("d e", start=3, speaker="S2"), *said("f", start=5, speaker="S1")]
    turns = [
        (t["name"], float(t["time"]), float(t["time"]) + float(t["duration"])) for t in rendered(*items)["speakers"]
    ]
    names = {"S1": "M1", "S2": "M2"}
    for item in items:
        start = item.start / 16_000
        assert [name for name, begin, end in turns if begin <= start < end] == [names[item.speaker or ""]]


def test_without_diarisation_nobody_is_named():
    items = said("yes .", speaker="S1")
    assert rendered(*items, diarisation=False)["speakers"] == []
    transcript = Transcript(language="en", duration=1, created_at=0, items=tuple(items))
    assert responses.transcript_text(transcript, replace(DONE, diarisation=False)) == "yes."


def test_text_is_one_line_where_no_speaker_is_known():
    transcript = Transcript(language="en", duration=1, created_at=0, items=tuple(said("yes , well .")))
    assert responses.transcript_text(transcript, DONE) == "yes, well."


def test_text_of_known_speakers_is_in_turns():
    items = (*said("yes .", speaker="S1"), *said("no .", start=3, speaker="S2"))
    transcript = Transcript(language="en", duration=1, created_at=0, items=items)
    assert responses.transcript_text(transcript, DONE) == "SPEAKER: M1\nyes.\n\nSPEAKER: M2\nno."


def test_an_entity_is_its_written_words():
    written_ = (Word(text="20", start=0, end=8000), Word(text="%", start=8000, end=16_000, confidence=0.5))
    entity = Entity(
        text="20%",
        entity_class="percentage",
        spoken=(w("twenty", 0, 1),),
        written=written_,
        start=0,
        end=16_000,
        confidence=0.9,
    )
    shown = [(e["name"], e["time"], e["duration"], e["confidence"]) for e in rendered(entity)["words"]]
    assert shown == [("20", "0.000", "0.500", "0.900"), ("%", "0.500", "0.500", "0.500")]


def test_unknown_confidence_of_a_word_is_one_and_of_a_mark_null():
    shown = rendered(w("so", 0, 1), Mark(text="!", at=samples(1), attaches=Attaches.PREVIOUS, confidence=0.4))["words"]
    assert [entry["confidence"] for entry in shown] == ["1.000", None]


# ── notices ──


@pytest.mark.parametrize("reason", [None, *Reason])
def test_every_end_has_a_mail_on_one_line(reason):
    notice = notification_texts.ended(number=7, name="a\nb.wav", status=responses.ended_as(reason))
    assert notice.body.count("\n") == 1
    assert "Job 7 (a b.wav)" in notice.body


def test_a_failed_callback_is_mailed_with_its_status():
    notice = notification_texts.not_called(number=7, name="a.wav", place="http://e.org", outcome="Response status: 500")
    assert "Response status: 500" in notice.body
    assert "http://e.org" in notice.body


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("http://www.example.com/transcript_callback", "http://www.example.com/transcript_callback?id=1"),
        ("http://e.org/a?b=c", "http://e.org/a?b=c&id=1"),
        ("http://e.org/a?", "http://e.org/a?id=1"),
        ("http://e.org/a?b=c&#top", "http://e.org/a?b=c&id=1"),
    ],
)
def test_a_callback_carries_the_id(url, called):
    assert notification_texts.callback_address(url, 1) == called


@pytest.mark.parametrize(
    ("aligns", "filename", "kind"),
    [(False, "talk.json", "application/json"), (True, "talk.txt", "text/plain; charset=utf-8")],
)
def test_a_callback_is_one_file_called_data_file(aligns, filename, kind):
    (part,) = notification_texts.callback_layout(name="talk.wav", aligns=aligns).parts
    assert (part.name, part.filename, part.content_type) == ("data_file", filename, kind)


# ── errors ──


def test_every_kind_has_its_words():
    assert set(errors.V1) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_an_error_has_exactly_two_members_or_is_html(kind):
    status, body = errors.v1_error(Refused(kind, "why it is so", at="here"))
    if status < 500:
        assert body == {"code": status, "error": errors.V1[kind][1]}
        assert errors.V1[kind][1]
    else:
        assert isinstance(body, str)
        assert body.startswith("<html>")
        assert "why it is so" not in body


def test_html_names_the_status():
    assert "<h1>503 Service Temporarily Unavailable</h1>" in errors.html(503)


@pytest.mark.parametrize("path", ["/v1.0", "/v1.0/nonexistent", "/v1.0/user/1/jobs", "/v1/user/1", "/v1/status"])
def test_its_own_paths_speak_it(path):
    assert errors.speaks(path)


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/api-keys", "/v1/projects/1", "/v1/users", "/v1.00/user", "/v2/jobs", "/", "/v10/user"]
)
def test_other_paths_do_not(path):
    assert not errors.speaks(path)
