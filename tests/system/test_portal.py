"""The portal in a real browser, over a real server."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from docx import Document
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from sottovoce.service.identity import projects, users
from sottovoce.service.storage.database import Database, sqlite_url
from tests import browser as browsers
from tests.browser import Visit, let_in, until_seen, until_true, visiting
from tests.listeners import Reply, listening
from tests.servers import ROOT, Server, tls, until

pytestmark = pytest.mark.system

DEMO = ROOT / "samples" / "demo.wav"
SPEECH = ROOT / "tests" / "fixtures" / "audio" / "speech.flac"
STEREO = ROOT / "tests" / "fixtures" / "audio" / "stereo_44k.wav"
OWNER = {"email": "ada@example.org", "password": "correct horse battery"}
SETTINGS = {"SOTTOVOCE_REGISTRATION": "open", "SOTTOVOCE_NOTIFICATION_PAUSES": "0.2"}
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
AXE = ROOT / ".venv-clients" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("portal"), **SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def done(server: Server) -> str:
    """A job that is done."""
    job = server.submit(DEMO)
    assert server.wait(job)["status"] == "done"
    return job


@pytest.fixture(scope="module")
def stereo(server: Server) -> str:
    """A job with a speaker on each of two channels, that is done."""
    config = {"type": "transcription", "transcription_config": {"language": "en", "diarization": "channel"}}
    job = server.submit(STEREO, config)
    assert server.wait(job)["status"] == "done"
    return job


@pytest.fixture
def inside(visit: Visit, server: Server) -> Visit:
    """A visitor who has signed in with the API key, on the first page."""
    let_in(visit.context, key=server.key)
    visit.page.goto("/")
    expect(visit.page.get_by_label("Language")).to_be_visible()
    return visit


def silence() -> bytes:
    """A recording of a second, whose job soon ends."""
    made = io.BytesIO()
    with wave.open(made, "wb") as recording:
        recording.setparams((1, 2, 16_000, 0, "NONE", ""))
        recording.writeframes(bytes(32_000))
    return made.getvalue()


def sign_in(page: Page, key: str) -> None:
    page.locator("#api-key").fill(key)
    page.locator("#key button").click()
    expect(page.get_by_role("heading", name="Transcribe", exact=True)).to_be_visible()
    expect(page.get_by_label("Language")).to_be_visible()


def replace_transcript(page: Page, change: Any) -> None:
    """Let the page receive what *change* makes of each JSON transcript."""

    def answer(route: Route) -> None:
        found = route.fetch()
        route.fulfill(response=found, body=json.dumps(change(found.json())))

    page.route(re.compile(r"/transcript\?format=json-v2"), answer)


def heard(page: Page) -> list[str]:
    """The words that are marked as the ones being heard."""
    words: list[str] = page.evaluate("[...(CSS.highlights.get('now') ?? [])].map(String)")
    return words


def click_word(page: Page, number: int) -> float:
    """Click on the word *number*, and return its start in seconds."""
    at = page.evaluate(
        """number => {
          const view = document.querySelector("transcript-view"), range = view.word(number);
          range.startContainer.parentElement.scrollIntoView({block: "center"});
          const box = range.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2, view.words.start[number]];
        }""",
        number,
    )
    page.mouse.click(at[0], at[1])
    return float(at[2])


def picture(page: Page, name: str) -> None:
    """Store what the page shows for docs/portal.md, if `SOTTOVOCE_WRITE_DOCS` is set."""
    if os.environ.get("SOTTOVOCE_WRITE_DOCS"):
        page.set_viewport_size({"width": 1000, "height": 980})
        page.screenshot(path=ROOT / "docs" / "pictures" / f"portal-{name}.png")


def test_a_walk_from_the_sign_in_to_the_downloads(visit: Visit, server: Server, tmp_path: Path) -> None:
    page = visit.page
    page.goto("/")
    assert page.url == f"{server.url}/portal/sign-in"
    expect(page.get_by_text("make run")).to_be_visible()
    expect(page.locator("#api-key")).to_be_focused()
    sign_in(page, server.key)

    page.get_by_label("Speakers").select_option("One speaker per channel")
    page.get_by_label("Drop audio or video files here").set_input_files(DEMO)
    row = page.get_by_role("row").filter(has_text="demo.wav").first
    expect(row.locator(".state")).to_have_text("Done", timeout=browsers.PATIENCE_MS)
    expect(row).to_contain_text("in 7 days")
    picture(page, "jobs")
    expect(page.locator(".uploads .state")).to_have_text("Done")
    page.get_by_role("link", name="Open the transcript").click()

    expect(page.locator("transcript-view p").first).to_contain_text("the", ignore_case=True)
    until_true(page, "document.querySelector('audio').readyState > 0")
    assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(15.9, abs=0.1)
    start = click_word(page, 5)
    until_true(page, f"document.querySelector('audio').currentTime >= {start - 0.05}")
    until_true(page, "CSS.highlights.get('now')?.size === 1")
    field = page.get_by_role("textbox", name="channel_1")
    field.fill("Anna")
    field.press("Enter")
    expect(page.locator("transcript-view .speaker").first).to_have_text("Anna")
    page.locator("audio").evaluate("player => player.pause()")
    picture(page, "transcript")

    for name, ending in (
        ("JSON", "json"),
        ("Text", "txt"),
        ("SRT subtitles", "srt"),
        ("WebVTT subtitles", "vtt"),
        ("Word", "docx"),
    ):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=name, exact=True).click()
        assert waiting.value.suggested_filename == f"demo.wav.{ending}"
        waiting.value.save_as(tmp_path / f"demo.{ending}")
    assert "00:00:" in (tmp_path / "demo.srt").read_text()
    assert (tmp_path / "demo.txt").read_text().startswith("CHANNEL: Anna\n")
    assert (tmp_path / "demo.vtt").read_text().startswith("WEBVTT")
    assert json.loads((tmp_path / "demo.json").read_text())["job"]["data_name"] == "demo.wav"
    assert "demo.wav" in [paragraph.text for paragraph in Document(str(tmp_path / "demo.docx")).paragraphs]

    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/portal/sign-in")
    page.goto("/")
    assert page.url == f"{server.url}/portal/sign-in"
    visit.check()


def test_an_account_signs_in_and_sees_its_own_jobs(visit: Visit, server: Server, done: str) -> None:
    answer = httpx.post(f"{server.url}/account/register", json=OWNER, verify=tls())
    assert answer.status_code == 202, answer.text
    page = visit.page
    page.goto("/")
    page.get_by_label("E-mail address", exact=True).fill(OWNER["email"])
    page.get_by_label("Password", exact=True).fill("wrong")
    page.locator("#account button").click()
    expect(page.locator("#account output")).to_have_text("wrong e-mail address or password")
    visit.complaints.clear()  # the refused attempt
    page.get_by_label("Password", exact=True).fill(OWNER["password"])
    page.locator("#account button").click()
    expect(page.get_by_text("There are no jobs yet.")).to_be_visible()
    visit.check()
    visit.context.clear_cookies(
        name="sottovoce_portal_eu1"
    )  # as after an hour: the session of the account gets a new one
    page.reload()
    expect(page.get_by_text("There are no jobs yet.")).to_be_visible()


def test_a_sign_in_with_a_key_is_renewed_when_the_person_works(inside: Visit) -> None:
    page, asked = inside.page, list[str]()
    cookie = {"project_id": 1, "projects": [], "account": False, "renewable": True, "lifetime": 86_400}
    left = {"expires_in": 86_400 - 60}

    def older(route: Route) -> None:
        asked.append(route.request.method)
        if route.request.method == "GET":
            route.fulfill(json=cookie | left)
        else:
            route.continue_()

    page.route("**/portal/session", older)
    page.clock.install()
    page.reload()
    expect(page.get_by_label("Language")).to_be_visible()
    page.clock.run_for("21:00")
    until_seen(page, lambda: asked.count("GET") >= 3)
    assert "POST" not in asked, "a fresh cookie needs no renewal"
    left["expires_in"] = 40_000  # half a day later
    with page.expect_response(lambda answer: answer.request.method == "POST" and "session" in answer.url) as renewed:
        page.clock.run_for("11:00")
    assert renewed.value.status == 204
    asked.clear()
    page.clock.run_for("31:00")
    until_seen(page, lambda: asked.count("GET") >= 3)
    assert "POST" not in asked, "the tab was left alone"
    page.keyboard.press("Tab")
    with page.expect_response(lambda answer: answer.request.method == "POST" and "session" in answer.url):
        page.clock.run_for("11:00")
    inside.check()


def test_an_unknown_key_is_told(visit: Visit) -> None:
    visit.page.goto("/")
    visit.page.locator("#api-key").fill("no-such-key")
    visit.page.locator("#key button").click()
    expect(visit.page.locator("#key output")).to_have_text("this API key is unknown or has expired")


def test_a_link_of_another_site_is_not_followed_after_the_sign_in(visit: Visit, server: Server) -> None:
    visit.page.goto("/portal/sign-in?to=https://example.org/elsewhere")
    sign_in(visit.page, server.key)
    assert visit.page.url == f"{server.url}/"
    visit.check()


def test_hostile_names_stay_text(inside: Visit) -> None:
    page = inside.page
    name = "<img src=x onerror=alert(1)>.wav"
    page.get_by_label("Drop audio").set_input_files(
        {"name": name, "mimeType": "audio/wav", "buffer": DEMO.read_bytes()}
    )
    row = page.get_by_role("row").filter(has_text=name)
    expect(row.locator(".state")).to_have_text("Done", timeout=browsers.PATIENCE_MS)
    page.get_by_label("Search").fill("onerror")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert page.locator("img").count() == 0
    inside.check()


TABS = ("Summary", "Chapters", "Topics", "Sentiment", "Entities", "Sounds", "Translations")


def _hostile(transcript: dict[str, Any]) -> dict[str, Any]:
    for item in transcript["results"]:
        item["alternatives"][0] |= {"content": HOSTILE, "speaker": HOSTILE}
    transcript["results"][0] |= {"type": "entity", "entity_class": "money"}
    part = {"start_time": 1.5, "end_time": 2, "text": HOSTILE}
    return transcript | {
        "summary": {"content": HOSTILE},
        "chapters": [{**part, "title": HOSTILE, "summary": HOSTILE}],
        "topics": {"segments": [{**part, "topics": [{"topic": HOSTILE}]}], "summary": {"overall": {HOSTILE: 1}}},
        "sentiment_analysis": {
            "sentiment_analysis": {
                "segments": [{**part, "sentiment": HOSTILE}],
                "summary": {"overall": {"positive_count": 3}},
            }
        },
        "audio_events": [{**part, "type": HOSTILE}],
        "translations": {"de": [{**part, "content": HOSTILE}], "<b>": [{**part, "content": HOSTILE}]},
    }


def test_hostile_transcripts_stay_text_in_every_tab(inside: Visit, done: str) -> None:
    page = inside.page
    replace_transcript(page, _hostile)
    page.goto(f"/portal/jobs/{done}")
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_text(["Transcript", *TABS])
    tabs.first.focus()
    for name in TABS:
        page.keyboard.press("ArrowRight")
        panel = page.get_by_role("tabpanel", name=name)
        expect(panel).to_contain_text(HOSTILE)
    expect(page.locator("#panel-sentiment_analysis")).to_contain_text("positive 3")
    expect(page.locator("#panel-translations")).to_contain_text("German")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tabpanel", name="Transcript")).to_contain_text(HOSTILE)
    assert page.locator("main img, main script").count() == 0
    inside.check()


def test_search_uncertain_words_and_keys(inside: Visit, done: str) -> None:
    page = inside.page

    def unsure(transcript: dict[str, Any]) -> dict[str, Any]:
        for number, item in enumerate(transcript["results"]):
            item["alternatives"][0]["confidence"] = (0.2, 0.6, 1.0)[min(number, 2)]
        return transcript

    replace_transcript(page, unsure)
    page.goto(f"/portal/jobs/{done}")
    field = page.get_by_label("Search in the transcript")
    field.fill("THE")
    many = page.evaluate("CSS.highlights.get('found').size")
    assert many > 1
    expect(page.locator(".hits")).to_have_text(f"1 of {many}")
    field.press("Enter")
    expect(page.locator(".hits")).to_have_text(f"2 of {many}")
    field.press("Shift+Enter")
    field.press("Shift+Enter")
    expect(page.locator(".hits")).to_have_text(f"{many} of {many}")
    field.fill("no such words")
    expect(page.locator(".hits")).to_have_text("not found")
    sizes = "['doubtful', 'unsure'].map((name) => CSS.highlights.get(name)?.size ?? 0)"
    assert page.evaluate(sizes) == [1, 1]
    page.get_by_label("Mark uncertain words").uncheck()
    assert page.evaluate(sizes) == [0, 0]
    until_true(page, "document.querySelector('audio').readyState > 0")
    page.keyboard.press("F2")
    until_true(page, "document.querySelector('audio').currentTime === 3")
    page.keyboard.press("F4")
    assert page.evaluate("document.querySelector('audio').playbackRate") == 1.25
    page.keyboard.press("Control+Space")
    until_true(page, "!document.querySelector('audio').paused")
    page.keyboard.press("Escape")
    until_true(page, "document.querySelector('audio').paused")
    inside.check()


def _long(transcript: dict[str, Any]) -> dict[str, Any]:
    """Thirty thousand words of three speakers, with a sentence mark after each tenth."""
    results: list[dict[str, Any]] = []
    for number in range(30_000):
        at = {"start_time": number * 0.3, "end_time": number * 0.3 + 0.2}
        speaker = f"S{number // 1000 % 3 + 1}"
        results.append(
            {**at, "type": "word", "alternatives": [{"content": f"word{number}", "confidence": 1, "speaker": speaker}]}
        )
        if number % 10 == 9:
            mark = {"content": ".", "confidence": 1, "speaker": speaker}
            results.append(
                {**at, "type": "punctuation", "attaches_to": "previous", "is_eos": True, "alternatives": [mark]}
            )
    return transcript | {"results": results}


def test_speakers_get_names_in_the_page_and_in_downloads(
    inside: Visit, server: Server, stereo: str, tmp_path: Path
) -> None:
    page = inside.page
    page.goto(f"/portal/jobs/{stereo}")
    field = page.get_by_role("textbox", name="channel_1")
    field.fill(f" Anna {HOSTILE[:20]} ")
    field.press("Tab")
    expect(page.get_by_text("The names are stored.")).to_be_visible()
    expect(page.locator("transcript-view .speaker").first).to_have_text(f"Anna {HOSTILE[:20]}")
    page.reload()
    expect(page.locator("transcript-view .speaker").first).to_have_text(f"Anna {HOSTILE[:20]}")
    expect(page.get_by_role("textbox", name="channel_1")).to_have_value(f"Anna {HOSTILE[:20]}")

    def downloaded() -> str:
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Text", exact=True).click()
        waiting.value.save_as(tmp_path / "text")
        return (tmp_path / "text").read_text()

    assert f"CHANNEL: Anna {HOSTILE[:20]}\n" in downloaded()
    page.get_by_label("with names").uncheck()
    assert "CHANNEL: channel_1\n" in downloaded()
    assert "Anna" not in str(server.transcript(stereo, "json-v2"))
    inside.check()


def test_a_transcript_of_thirty_thousand_words_can_be_used(inside: Visit, done: str) -> None:
    page = inside.page
    replace_transcript(page, _long)
    page.goto(f"/portal/jobs/{done}")
    expect(page.locator("transcript-view section").first).to_contain_text("word9. word10")
    assert page.locator("transcript-view *").count() < 3000, "no element for each word"
    assert (
        page.evaluate("new Set(Array.from(document.querySelectorAll('.speaker'), (each) => each.textContent)).size")
        == 3
    )
    until_true(page, "document.querySelector('audio').readyState > 0")
    click_word(page, 30)
    until_true(page, "document.querySelector('audio').currentTime > 8.9")
    page.get_by_label("Search in the transcript").fill("word29999")
    expect(page.locator(".hits")).to_have_text("1 of 1")
    inside.check()


def test_media_that_the_browser_cannot_play_is_told(inside: Visit, done: str) -> None:
    page = inside.page
    page.route(
        "**/playback",
        lambda route: route.fulfill(body=b"AMR of an old telephone", content_type="application/octet-stream"),
    )
    page.goto(f"/portal/jobs/{done}")
    expect(page.get_by_text("This browser cannot play the file.")).to_be_visible()
    expect(page.get_by_role("link", name="Download the file")).to_be_visible()
    expect(page.locator("transcript-view p").first).to_be_visible()


def test_a_telephone_recording_is_played_as_a_copy_with_its_waveform(inside: Visit, server: Server) -> None:
    job = server.submit(SPEECH.with_suffix(".amr"))
    assert server.wait(job)["status"] == "done"
    page = inside.page
    page.goto(f"/portal/jobs/{job}")
    until_true(page, "document.querySelector('audio')?.readyState > 0")
    assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(4, abs=2)
    until_true(page, "(document.querySelector('wave-form canvas')?.width ?? 0) > 100")
    drawn = """() => {
      const {width, height} = document.querySelector("wave-form canvas");
      const data = document.querySelector("wave-form canvas").getContext("2d").getImageData(0, 0, width, height).data;
      return data.filter((value, at) => at % 4 === 3 && value).length;
    }"""
    assert page.evaluate(drawn) > 1000
    box = page.locator("wave-form canvas").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 10)
    heard = "document.querySelector('audio').currentTime / document.querySelector('audio').duration"
    until_true(page, f"Math.abs({heard} - 0.5) < 0.2")
    expect(page.get_by_text("This browser cannot play the file.")).to_have_count(0)
    inside.check()


def film(path: Path, codec: str) -> Path:
    """A grey picture of two seconds with speech, in WebM or MP4."""
    with av.open(str(path), "w") as out, av.open(str(SPEECH)) as source:
        picture: Any = out.add_stream(codec, rate=10, width=64, height=48, pix_fmt="yuv420p")
        sound = out.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48_000)
        for _ in range(20):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), format="yuv420p")))
        out.mux(picture.encode(None))
        for frame in source.decode(audio=0):
            frame.pts = None
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path


def test_a_video_is_shown_with_its_captions(inside: Visit, server: Server, tmp_path: Path) -> None:
    job = server.submit(film(tmp_path / "talk.webm", "libvpx"))
    assert server.wait(job)["status"] == "done"
    page = inside.page
    page.goto(f"/portal/jobs/{job}")
    until_true(page, "document.querySelector('video')?.videoWidth === 64")
    until_true(page, "document.querySelector('video').textTracks[0].cues?.length > 0")
    cues = "[...document.querySelector('video').textTracks[0].cues].map((cue) => [cue.startTime, cue.text])"
    shown, vtt = page.evaluate(cues), server.transcript(job, "vtt")
    assert [text for _, text in shown] == [block.split("\n", 1)[1] for block in vtt.split("\n\n")[1:] if block.strip()]
    assert page.evaluate("document.querySelector('video').textTracks[0].mode") == "showing"
    start = click_word(page, 1)
    until_true(page, f"document.querySelector('video').currentTime >= {start - 0.05}")
    until_true(page, "CSS.highlights.get('now')?.size === 1")
    assert page.locator("audio").count() == 0
    inside.check()


def test_a_picture_that_browsers_do_not_play_leaves_the_sound(inside: Visit, server: Server, tmp_path: Path) -> None:
    job = server.submit(film(tmp_path / "talk.mp4", "mpeg4"))
    assert server.wait(job)["status"] == "done"
    page = inside.page
    page.goto(f"/portal/jobs/{job}")
    until_true(page, "document.querySelector('audio')?.readyState > 0")
    assert page.locator("video").count() == 0
    inside.check()


def test_a_retry_makes_no_second_job(inside: Visit, server: Server) -> None:
    page = inside.page
    lost: list[str] = []

    def lose_the_answer(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().json()["id"])  # the server has the job, and the browser does not know
        route.abort()

    page.route("**/v2/jobs?sm-app=portal", lose_the_answer)
    page.get_by_label("Drop audio").set_input_files(
        {"name": "once.wav", "mimeType": "audio/wav", "buffer": DEMO.read_bytes()}
    )
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".uploads a")).to_have_attribute("href", f"/portal/jobs/{lost[0]}")
    with server.client() as client:
        assert [job["data_name"] for job in client.get("/v2/jobs").json()["jobs"]].count("once.wav") == 1


def test_options_of_the_form_reach_the_job_and_jobs_are_deleted(inside: Visit, server: Server) -> None:
    page = inside.page
    page.get_by_label("Speakers").select_option("One speaker per channel")
    page.get_by_text("More options").click()
    page.get_by_label("Delete the job after its end").select_option("One hour")
    page.get_by_label("Names and rare words").fill("Sottovoce\n\nLit")
    page.get_by_label("Summary").check()
    files: list[FilePayload] = [
        {"name": f"many-{number}.wav", "mimeType": "audio/wav", "buffer": DEMO.read_bytes()} for number in range(2)
    ]
    page.get_by_label("Drop audio").set_input_files(files)
    page.get_by_label("Search").fill("many-")
    expect(page.locator("tbody tr")).to_have_count(2)
    with server.client() as client:
        config = next(
            job["config"] for job in client.get("/v2/jobs").json()["jobs"] if job["data_name"] == "many-1.wav"
        )
    assert config["transcription_config"]["diarization"] == "channel"
    assert config["transcription_config"]["additional_vocab"] == [{"content": "Sottovoce"}, {"content": "Lit"}]
    assert config["summarization_config"] == {}
    expect(page.locator("tbody .state.done")).to_have_count(2, timeout=browsers.PATIENCE_MS)
    expect(
        page.locator("tbody")
        .get_by_text("in 1 hour")
        .or_(page.locator("tbody").get_by_text(re.compile("in (60|59) minutes")))
        .first
    ).to_be_visible()
    for number in range(2):
        page.get_by_label(f"Select many-{number}.wav").check()
    inside.agrees = True
    page.get_by_role("button", name="Delete selected").click()
    expect(page.get_by_text("2 jobs were deleted.")).to_be_visible()
    assert inside.dialogs == ["Delete 2 jobs with media and transcript? This cannot be undone."]
    expect(page.locator("tbody tr")).to_have_count(0)


def test_a_file_that_is_no_recording_is_refused_with_the_reason(inside: Visit) -> None:
    inside.page.get_by_label("Drop audio").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"no audio"}
    )
    expect(inside.page.locator(".uploads .error")).to_contain_text("the file is not audio or video of a known format")


def test_a_job_that_failed_is_told_with_the_reason(inside: Visit, done: str) -> None:
    page = inside.page
    failed = {"status": "rejected", "errors": [{"message": "the address answered with status 404", "timestamp": ""}]}
    page.route(
        "**/v2/jobs?limit=*",
        lambda route: (found := route.fetch()) and route.fulfill(json={"jobs": [found.json()["jobs"][0] | failed]}),
    )
    page.reload()
    expect(page.locator("tbody .state")).to_have_text("Failed")
    expect(page.locator("tbody .why")).to_have_text("the address answered with status 404")


def test_the_request_is_shown_as_programs_that_follow_the_form(inside: Visit, server: Server) -> None:
    page = inside.page
    page.get_by_text("The same request by a program").click()
    shown = page.locator("code-sample pre code")
    expect(shown).to_contain_text("-F data_file=@recording.wav")
    page.get_by_label("Speakers").select_option("Tell voices apart")
    expect(shown).to_contain_text('"diarization": "speaker"')
    page.get_by_label("Or the address of a file").fill("https://example.org/it's.mp3")
    expect(shown).not_to_contain_text("data_file")
    page.get_by_role("button", name="Python", exact=True).click()
    ast.parse(shown.inner_text())
    for name, word in (("JavaScript", "new FormData()"), ("Config", '"fetch_data"')):
        page.get_by_role("button", name=name, exact=True).click()
        expect(shown).to_contain_text(word)
    assert json.loads(shown.inner_text())["transcription_config"]["diarization"] == "speaker"
    inside.check()


def run_samples(page: Page, folder: Path, key: str) -> dict[str, str]:
    """Run the programs that the page shows, and return the id of the job that each has made, by the name of its language."""
    if shutil.which("node") is None:
        pytest.fail("Node.js is not installed: the sample in JavaScript needs version 20 or newer", pytrace=False)
    (folder / "recording.wav").write_bytes(silence())
    made = {}
    for name, file, command in (
        ("cURL", "job.sh", ["sh", "-eu"]), ("Python", "job.py", [sys.executable]), ("JavaScript", "job.mjs", ["node"]),
    ):  # fmt: skip
        page.get_by_role("button", name=name, exact=True).click()
        (folder / file).write_text(page.locator("code-sample pre code").inner_text())
        ended = subprocess.run(
            [*command, file], cwd=folder, env=os.environ | {"KEY": key}, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        made[name] = json.loads(ended.stdout)["id"] if name == "cURL" else ended.stdout.strip()
    return made


def test_the_shown_programs_make_the_job_that_the_page_makes(inside: Visit, server: Server, tmp_path: Path) -> None:
    page = inside.page
    page.get_by_label("Speakers").select_option("One speaker per channel")
    page.get_by_text("More options").click()
    page.get_by_label("Delete the job after its end").select_option("One hour")
    page.get_by_label("Names and rare words").fill('it\'s;type=x\n"Lit" \\ ${HOME} `id`')
    page.get_by_label("Summary").check()
    page.get_by_text("The same request by a program").click()
    made = run_samples(page, tmp_path, server.key)
    page.get_by_label("Drop audio").set_input_files(tmp_path / "recording.wav")
    link = page.locator(".uploads a")
    expect(link).to_be_visible()
    jobs = [link.get_attribute("href").rpartition("/")[2], *made.values()]
    assert len(set(jobs)) == 4

    def shown(job: str) -> tuple[Any, ...]:
        server.wait(job)
        with server.client() as client:
            found = client.get(f"/v2/jobs/{job}?lifecycle=true").json()["job"]
        ended, going = (datetime.fromisoformat(found["lifecycle"][name]) for name in ("ended_at", "delete_at"))
        return found["config"], found["data_name"], found["status"], round((going - ended).total_seconds())

    page_job, *others = map(shown, jobs)
    assert page_job[3] == 3600
    assert others == [page_job] * 3
    inside.check()


def test_failed_notifications_are_shown_and_sent_again(inside: Visit, server: Server) -> None:
    config = {
        "type": "transcription",
        "transcription_config": {"language": "en"},
        "notification_config": [{"url": "http://receiver.invalid/x", "contents": []}],
    }
    job = server.submit(DEMO, config)
    assert server.wait(job)["status"] == "done"
    with server.client() as client:
        log = f"/v2/jobs/{job}/deliveries"
        until(lambda: client.get(log).json()["deliveries"][0]["state"] == "failed", "end of the delivery")
    page = inside.page
    page.goto(f"/portal/jobs/{job}")
    page.get_by_text("Notifications", exact=True).click()
    row = page.locator("delivery-log li")
    expect(row).to_contain_text("http://receiver.invalid")
    expect(row).to_contain_text("Failed")
    before = row.inner_text()
    page.get_by_role("button", name="Send again to").click()
    expect(row).not_to_have_text(before)
    page.get_by_text("Where this file is").click()
    expect(page.get_by_text("All of it is deleted on")).to_be_visible()
    inside.check()


def test_an_account_is_created_in_the_page(visit: Visit) -> None:
    page = visit.page
    page.goto("/portal/sign-in")
    page.get_by_text("Create an account", exact=True).click()
    page.get_by_label("Your e-mail address").first.fill("new@example.org")
    page.get_by_label("A password of at least").fill(OWNER["password"])
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_text("There are no jobs yet.")).to_be_visible()
    expect(page.get_by_label("Project")).to_have_count(0)
    visit.check()


def test_an_account_switches_between_projects_and_each_has_its_jobs(visit: Visit, server: Server) -> None:
    page, mary = visit.page, OWNER | {"email": "mary@example.org"}
    assert httpx.post(f"{server.url}/account/register", json=mary, verify=tls()).status_code == 202
    control = Database(sqlite_url(server.data / "control.db"))
    with control.writing() as connection:
        second = projects.create(connection, users.find(connection, mary["email"]).workspace_id, "Interviews").id
    control.close()
    page.goto("/")
    page.get_by_label("E-mail address", exact=True).fill(mary["email"])
    page.get_by_label("Password", exact=True).fill(mary["password"])
    page.locator("#account button").click()

    def upload(name: str) -> None:
        page.get_by_label("Drop audio").set_input_files({"name": name, "mimeType": "audio/wav", "buffer": silence()})
        expect(page.get_by_role("row").filter(has_text=name)).to_be_visible()

    upload("first.wav")
    page.get_by_label("Project").select_option("Interviews")
    expect(page.get_by_text("There are no jobs yet.")).to_be_visible()
    upload("second.wav")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_label("Project").locator("option:checked")).to_have_text("Interviews")
    assert page.evaluate("fetch('/portal/session').then((answer) => answer.json())")["project_id"] == second
    page.get_by_label("Project").select_option(index=0)
    expect(page.get_by_role("link", name="first.wav")).to_be_visible()
    expect(page.get_by_text("second.wav")).to_have_count(0)
    visit.check()


def test_an_address_that_the_server_refuses_is_told_with_the_reason(inside: Visit) -> None:
    page = inside.page
    page.get_by_label("Or the address of a file").fill("http://127.0.0.1/talk.wav")
    page.get_by_label("Or the address of a file").press("Enter")
    expect(page.locator(".uploads li")).to_contain_text("http://127.0.0.1/talk.wav")
    expect(page.locator(".uploads .error")).to_contain_text(
        "fetch_data.url: the address is not allowed, because it is not public"
    )


def test_a_file_at_an_address_is_fetched_and_transcribed(browser: Browser, tmp_path: Path) -> None:
    # the operator allows this machine, as a company allows a server of its own
    allowed = {"SOTTOVOCE_OUTBOUND_ALLOW": "127.0.0.1", "SOTTOVOCE_OUTBOUND_PORTS": "1-65535"}
    with (
        listening(lambda _asked, _number: Reply(body=DEMO.read_bytes())) as site,
        Server(tmp_path, **allowed) as server,
        visiting(browser, server.url) as visit,
    ):
        page = visit.page
        let_in(visit.context, key=server.key)
        page.goto("/")
        page.get_by_label("Or the address of a file").fill(f"{site.url}/talk.wav")
        page.get_by_text("The same request by a program").click()
        made = run_samples(page, tmp_path, server.key)
        page.get_by_role("button", name="Transcribe the address").click()
        rows = page.get_by_role("row").filter(has_text="talk.wav")
        expect(rows).to_have_count(4)
        expect(rows.locator(".state.done")).to_have_count(4, timeout=browsers.PATIENCE_MS)
        with server.client() as client:
            configs = {json.dumps(job["config"]) for job in client.get("/v2/jobs").json()["jobs"]}
        assert len(configs) == 1, "the programs and the page ask for the same"
        assert len(made) == 3
        rows.first.get_by_role("link").click()
        expect(page.locator("transcript-view p").first).to_contain_text("the", ignore_case=True)
        visit.check()
    assert [asked.path for asked in site.heard] == ["/talk.wav"] * 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe(inside: Visit, done: str, scheme: str) -> None:
    if not AXE.exists():
        pytest.fail("axe-core is not installed: run `make .venv-clients/stamp`", pytrace=False)
    page = inside.page
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    replace_transcript(
        page,
        lambda found: _long(found) | {"results": _long(found)["results"][:300], "summary": {"content": "It is short."}},
    )
    for path, ready in (
        ("/", "job-table table"), (f"/portal/jobs/{done}", "transcript-view section"), ("/portal/sign-in", "#key"), ("/docs/accounts", "article h1"),
    ):  # fmt: skip
        page.goto(path)
        expect(page.locator(ready).first).to_be_visible()
        page.evaluate(AXE.read_text())
        found = page.evaluate(
            "axe.run().then(({violations}) => violations.map(({id, impact, nodes}) => [id, impact, nodes[0].html]))"
        )
        assert [each for each in found if each[1] in {"serious", "critical"}] == [], path


def test_the_pages_of_the_docs_open_in_a_browser(visit: Visit) -> None:
    page = visit.page
    page.goto("/docs/README")
    page.get_by_role("link", name="accounts").first.click()
    expect(page.get_by_role("heading", name="Accounts", level=1)).to_be_visible()
    assert page.url.endswith("/docs/accounts")
    page.goto("/docs")
    expect(page.get_by_role("heading", name="Create a job", exact=True)).to_be_visible()
    visit.check()


def test_narrow_windows_and_the_keyboard_alone_are_enough(visit: Visit, server: Server, done: str) -> None:
    """A window of 600 px at 200 % zoom; no mouse from the sign-in to the recording."""
    page = visit.page
    page.set_viewport_size({"width": 300, "height": 500})
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    page.goto("/portal/sign-in")
    page.locator("#api-key").focus()
    page.keyboard.type(server.key)
    page.keyboard.press("Enter")
    link = page.locator(f'job-table a[href="/portal/jobs/{done}"]')
    expect(link).to_be_visible()
    assert page.evaluate(overflow) == 0
    link.focus()
    page.keyboard.press("Enter")
    time = page.locator("transcript-view .time").first
    expect(time).to_be_visible()
    assert page.evaluate(overflow) == 0
    page.get_by_label("Mark uncertain words").focus()
    page.keyboard.press("Tab")
    expect(time).to_be_focused()
    page.keyboard.press("Enter")
    until_true(page, "!document.querySelector('audio').paused")
    visit.check()


def test_arabic_runs_from_right_to_left_and_motion_can_be_reduced(inside: Visit, done: str) -> None:
    page = inside.page

    def arabic(transcript: dict[str, Any]) -> dict[str, Any]:
        for item in transcript["results"]:
            item["alternatives"][0]["content"] = "مرحبا"
        return transcript

    replace_transcript(page, arabic)
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"/portal/jobs/{done}")
    text = page.locator("transcript-view p").first
    expect(text).to_be_visible()
    assert text.evaluate("each => [getComputedStyle(each).direction, each.dir]") == ["rtl", "auto"]
    moving = "[...document.querySelectorAll('*')].filter((each) => getComputedStyle(each).scrollBehavior === 'smooth').length"
    assert page.evaluate(moving) == 0
    assert page.evaluate("document.getAnimations().length") == 0
    click_word(page, 2)
    until_true(page, "CSS.highlights.get('now')?.size === 1")
    inside.check()


def test_without_chromium_the_tests_name_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(pytest.fail.Exception, match="make setup-browser"):
        browsers.chromium()
