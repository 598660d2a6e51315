"""The founding page of V1, read as it is: every error that it lists, every field that it explains, is ours word for word."""

import re
from pathlib import Path

import pytest

from sottovoce.wire.v1 import errors, responses
from tests.unit.wire.v1.test_responses import ALIGNING, DONE, NOW

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def page(shared: Path) -> str:
    return (shared / "seeds" / "legacy-v1.txt").read_text(encoding="utf-8")


def test_every_error_that_it_lists_is_told_in_its_words(page):
    listed = {(int(code), text) for code, text in re.findall(r'^(\d{3}), "error": "([^"]+)"', page, re.MULTILINE)}
    assert len(listed) == 15
    listed.add((404, "Page Not Found"))  # its example
    told = {(status, text) for status, text in errors.V1.values() if text}
    assert listed - told == set()


def test_whatever_we_say_besides_is_said_with_a_status_that_it_does_not_list(page):
    listed = {(int(code), text) for code, text in re.findall(r'^(\d{3}), "error": "([^"]+)"', page, re.MULTILINE)}
    words = {text for _, text in listed} | {"Page Not Found"}
    ours = {(status, text) for status, text in errors.V1.values() if text and text not in words}
    assert {status for status, _ in ours} == {405, 408, 411, 413}


def test_our_own_failures_are_called_as_it_calls_them(page):
    listed = {int(code): text for code, text in re.findall(r'^(5\d\d), "([^"]+)"', page, re.MULTILINE)}
    assert listed == errors.PHRASES


def test_every_field_of_a_job_that_it_explains_is_there(page):
    start = page.index("'alignment': (alignment only)")
    explained = page[start : page.index("POST to upload an audio file", start)]
    names = set(re.findall(r"^'(\w+)':", explained, re.MULTILINE))
    assert names == set(responses.job_object(DONE, NOW)) | set(responses.job_object(ALIGNING, NOW))


def test_every_status_of_a_job_that_it_names_is_one_of_ours(page):
    line = re.search(r"'job_status': .*", page)
    assert line
    named = {word for word in re.findall(r"\w+", line.group()) if "_" in word or word in ONE_WORD}
    assert named - {"job_status"} == {
        "transcribing", "aligning", "done", "expired", "rejected", "unsupported_file_format", "could_not_align"
    }  # fmt: skip


ONE_WORD = {"transcribing", "aligning", "done", "expired", "rejected"}


def test_every_field_of_the_status_is_there(page):
    explained = page[page.index("'Average_Turnaround_Mins':") : page.index("Common Error Codes")]
    shown = responses.status_object(responses.Condition(turnaround=0, queue=0, known_issues=False, slow=False, at=0))
    assert set(re.findall(r"^'(\w+)':", explained, re.MULTILINE)) == set(shown)
