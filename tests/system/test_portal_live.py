"""The page of live captions in a real browser, whose microphone plays a recording, over a real server with Whisper tiny.en."""

import base64
import json
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.backends import free_port
from tests.browser import Visit, chromium, visiting
from tests.servers import ROOT, Server

pytestmark = [pytest.mark.system, pytest.mark.weights]

DEMO = ROOT / "samples" / "demo.wav"
SENTENCES = (
    "Good morning and thank you for coming to this meeting.",
    "We are going to talk about the future of the company.",
    "I think that we should wait until the end of the year.",
    "Please send me the report before the end of the week.",
)
AXE = ROOT / ".venv-clients" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 60_000


class LiveServer(Server):
    """A server that keeps its port over a start."""

    def __init__(self, home: Path, models: Path) -> None:
        self.COMMAND = ("serve", "--port", str(free_port()))
        super().__init__(
            home,
            SOTTOVOCE_ENGINE="whisper",
            SOTTOVOCE_ROLES="api,batch,realtime",
            SOTTOVOCE_MODELS_DIR=str(models),
            SOTTOVOCE_STANDARD_MODEL="whisper-tiny.en",
            SOTTOVOCE_ENHANCED_MODEL="whisper-tiny.en",
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, real_models: Path) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("live"), real_models) as running:
        yield running


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser of its own for each test: the recording of its microphone begins with the browser's first use of it."""
    flags = (
        "use-fake-ui-for-media-stream",
        "use-fake-device-for-media-stream",
        f"use-file-for-fake-audio-capture={DEMO}%noloop",
    )
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=[f"--{flag}" for flag in flags])
        try:
            yield launched
        finally:
            launched.close()


@pytest.fixture
def visit(browser: Browser, server: LiveServer) -> Iterator[Visit]:
    """A visitor who has signed in and opened the page."""
    with visiting(browser, server.url, permissions=["microphone"]) as found:
        page = found.page
        page.goto("/portal/live")
        page.locator("#api-key").fill(server.key)
        page.locator("#key button").click()
        expect(page.get_by_role("heading", name="Live captions")).to_be_visible()
        expect(page.get_by_role("button", name="Start")).to_be_enabled()
        yield found


def final(page: Page) -> str:
    return page.locator("[role=log]").inner_text().replace("\n", " ")


def words(text: str) -> list[str]:
    """The words of *text* without marks: where the model sets one depends on the time of each decode."""
    return re.findall(r"[a-z']+", text.lower())


def saved(page: Page, name: str) -> str:
    with page.expect_download() as waited:
        page.get_by_role("button", name=f"Download {name}").click()
    return Path(waited.value.path()).read_text()


def test_what_the_microphone_hears_is_read_in_the_page_and_in_the_overlay(visit: Visit) -> None:
    page = visit.page
    page.keyboard.press("Tab")  # from the link that skips the navigation; the rest is done without a mouse
    page.get_by_label("Sound").focus()
    assert page.get_by_label("Sound").locator("option").count() >= 2
    page.get_by_role("button", name="Start").press("Enter")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Overlay window").press("Enter")
    overlay = opened.value
    expect(page.locator("[role=log]")).to_contain_text("coming to this meeting", timeout=PATIENCE_MS)
    assert page.locator("meter").evaluate("meter => meter.value") >= 0
    expect(page.locator(".lag")).to_contain_text("s behind the speech")
    expect(overlay.locator("caption-overlay")).to_contain_text("Good morning", timeout=PATIENCE_MS)
    expect(page.locator("[role=log]")).to_contain_text("before the end of the week", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.locator("[role=status]")).to_have_text("Stopped.", timeout=PATIENCE_MS)
    assert words(final(page)) == words(" ".join(SENTENCES))
    assert saved(page, "Text").split() == final(page).split()
    cues = [cue.splitlines() for cue in saved(page, "SRT").strip().split("\n\n")]
    assert words(" ".join(" ".join(cue[2:]) for cue in cues)) == words(" ".join(SENTENCES))
    assert [cue[0] for cue in cues] == [str(number) for number in range(1, len(cues) + 1)]
    assert saved(page, "VTT").startswith("WEBVTT\n\n00:00:0")
    assert [word["text"] for word in json.loads(saved(page, "JSON"))["words"]][:3] == ["Good", "morning", "and"]
    if not AXE.exists():
        pytest.fail("axe-core is not installed: run `make .venv-clients/stamp`", pytrace=False)
    for each in (page, overlay):
        each.evaluate(AXE.read_text())
        found = each.evaluate("axe.run().then(({violations}) => violations.map(({id, impact}) => [id, impact]))")
        assert [entry for entry in found if entry[1] in {"serious", "critical"}] == []
    visit.check()


def test_no_word_is_lost_when_the_server_is_killed_and_starts_again(visit: Visit, server: LiveServer) -> None:
    page = visit.page
    page.get_by_role("button", name="Start").click()
    expect(page.locator("[role=log]")).to_contain_text(SENTENCES[0].split()[0], timeout=PATIENCE_MS)
    server.kill()
    expect(page.locator("[role=status]")).to_contain_text("The connection was lost", timeout=PATIENCE_MS)
    server.start()
    expect(page.locator("[role=status]")).to_have_text("Listening.", timeout=PATIENCE_MS)
    expect(page.locator("[role=log]")).to_contain_text("end of the week", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[role=status]")).to_have_text("Stopped.", timeout=PATIENCE_MS)
    wanted = words(" ".join(SENTENCES))
    same = SequenceMatcher(None, wanted, words(final(page)), autojunk=False).get_matching_blocks()
    assert sum(block.size for block in same) >= len(wanted) - 2  # where the sessions meet, the model may mishear a word
    assert len(words(final(page))) <= len(wanted) + 2
    assert not visit.foreign
    assert not page.locator(".error:visible").all_inner_texts()


PLAYER = """
data => {
  document.title = "Player";
  const sound = document.createElement("audio");
  sound.src = `data:audio/wav;base64,${data}`;
  document.body.append(sound);
}
"""


def test_the_sound_of_another_tab_is_read_in_the_page(server: LiveServer) -> None:
    flags = ["--auto-select-tab-capture-source-by-title=Player", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium(whole=True),
            args=flags,
            ignore_default_args=["--mute-audio"],  # it mutes what the page hears of the tab, too
        )
        with visiting(launched, server.url) as found:
            page, player = found.page, found.context.new_page()
            player.evaluate(PLAYER, base64.b64encode(DEMO.read_bytes()).decode())
            page.bring_to_front()
            page.goto("/portal/live")
            page.locator("#api-key").fill(server.key)
            page.locator("#key button").click()
            expect(page.get_by_role("button", name="Start")).to_be_enabled()
            page.get_by_label("Sound").select_option("screen")
            page.get_by_role("button", name="Start").click()
            expect(page.locator("[role=status]")).to_have_text("Listening.")
            player.evaluate("document.querySelector('audio').play()")
            expect(page.locator("[role=log]")).to_contain_text("coming to this meeting", timeout=PATIENCE_MS)
            page.get_by_role("button", name="Stop").click()
            expect(page.locator("[role=status]")).to_have_text("Stopped.", timeout=PATIENCE_MS)
            found.check()
        launched.close()


def test_a_refused_microphone_is_told_with_the_way_out(browser: Browser, server: LiveServer) -> None:
    with visiting(browser, server.url) as found:
        page = found.page
        page.add_init_script(
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };"
        )
        page.goto("/portal/live")
        page.locator("#api-key").fill(server.key)
        page.locator("#key button").click()
        page.get_by_role("button", name="Start").click()
        expect(page.locator("[role=alert]").last).to_contain_text("Allow it beside the address, and start again.")
        expect(page.get_by_role("button", name="Start")).to_be_enabled()
        found.check()
