"""How fast words appear on the portal's page of live captions: `python -m bench.captions [--model whisper-tiny.en] [--out FILE]`.

A real browser, whose microphone plays the sample, opens the page of a real server. For each word: when the page receives it, and
when the page shows it, in seconds after the end of the word. The time of receipt is the baseline of what the page itself takes.
JSON goes to standard output.
"""

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from bench import machine
from tests.browser import chromium, visiting
from tests.servers import ROOT, Server

DEMO = ROOT / "samples" / "demo.wav"
LAST = "end of the week"
"""The last words of the sample."""
PATIENCE_MS = 60_000

WATCH = """
() => {
  const page = document.querySelector("live-captions"), box = page.querySelector(".captions"), seen = [];
  const take = page.take, add = page.captions.add;
  const found = window.found = {zero: null, received: [], shown: [], changes: []};
  page.take = (block) => {
    if (found.zero === null) found.zero = performance.now() - block.length / page.sound.rate * 1000;
    take.call(page, block);
  };
  page.captions.add = (results, offset) => {
    add.call(page.captions, results, offset);
    while (found.received.length < page.captions.words.length) found.received.push(performance.now());
  };
  new MutationObserver(() => requestAnimationFrame(() => {
    const now = performance.now(), partial = page.querySelector(".partial").textContent;
    while (found.shown.length < page.captions.words.length) found.shown.push(now);
    if (partial !== seen.at(-1)) { seen.push(partial); found.changes.push([now, partial.split(" ").filter(Boolean).length]); }
  })).observe(box, {subtree: true, childList: true, characterData: true});
}
"""
READ = """
() => {
  const {words} = document.querySelector("live-captions").captions;
  return {...window.found, words: words.map(({text, end, near}) => ({text, end, near}))};
}
"""


def figures(found: dict[str, Any]) -> dict[str, Any]:
    """The figures of what the page recorded; times of *found* are milliseconds of the page."""
    zero = found["zero"]
    spoken = [(number, word["end"]) for number, word in enumerate(found["words"]) if not word["near"]]
    late = {
        name: [(found[name][number] - zero) / 1000 - end for number, end in spoken] for name in ("received", "shown")
    }
    moments = [moment for moment, _ in found["changes"]]
    gaps = [(after - before) / 1000 for before, after in itertools.pairwise(moments)]
    return {
        "words": len(spoken),
        "final_received_s": _spread(late["received"]),
        "final_shown_s": _spread(late["shown"]),
        "shown_after_received_s": _spread([a - b for a, b in zip(late["shown"], late["received"], strict=True)]),
        "partial_shown_s": _spread(_partials(found, [end for _, end in spoken])),
        "changes_of_the_partial": len(moments),
        "between_changes_s": _spread(gaps),
    }


def _partials(found: dict[str, Any], ends: Sequence[float]) -> list[float]:
    """For each word: when final words and partial together first had as many words, after its end."""
    near = [word["near"] for word in found["words"]]
    late = []
    for number, end in enumerate(ends):
        for moment, partial in found["changes"]:
            final = sum(not marks and shown <= moment for marks, shown in zip(near, found["shown"], strict=True))
            if final + partial > number:
                late.append((moment - found["zero"]) / 1000 - end)
                break
    return late


def _spread(values: list[float]) -> dict[str, float]:
    return {
        name: machine.percentile(values, share) for name, share in (("median", 0.5), ("p95", 0.95), ("longest", 1.0))
    }


def _listen(page: Page, key: str, delay: str) -> dict[str, Any]:
    """Open the page, let it hear the sample, and return what it recorded."""
    page.goto("/portal/live")
    page.locator("#api-key").fill(key)
    page.locator("#key button").click()
    expect(page.get_by_role("button", name="Start")).to_be_enabled()
    page.get_by_label("Final words").select_option(delay)
    page.evaluate(WATCH)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("[role=log]")).to_contain_text(LAST, timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[role=status]")).to_have_text("Stopped.", timeout=PATIENCE_MS)
    return dict(page.evaluate(READ))


def measure(model: str, models: Path, delay: str) -> dict[str, Any]:
    """The figures of one session of the page, with a server and a browser of its own."""
    settings = {
        "SOTTOVOCE_ENGINE": "auto",
        "SOTTOVOCE_ROLES": "api,batch,realtime",
        "SOTTOVOCE_MODELS_DIR": str(models.absolute()),
        "SOTTOVOCE_STANDARD_MODEL": model,
        "SOTTOVOCE_ENHANCED_MODEL": model,
    }
    flags = (
        "use-fake-ui-for-media-stream",
        "use-fake-device-for-media-stream",
        f"use-file-for-fake-audio-capture={DEMO}%noloop",
    )
    with (
        tempfile.TemporaryDirectory(prefix="sottovoce-captions-") as folder,
        Server(Path(folder), **settings) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=[f"--{flag}" for flag in flags])
        try:
            with visiting(browser, server.url, permissions=["microphone"]) as visit:
                return figures(_listen(visit.page, server.key, delay))
        finally:
            browser.close()


def main(given: Sequence[str] | None = None) -> int:
    """Run the measurements of the command line and print their report."""
    parser = argparse.ArgumentParser(prog="python -m bench.captions", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--model", default="whisper-tiny.en", help="the model of both operating points (whisper-tiny.en)"
    )
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models", help="folder of the models")
    parser.add_argument("--max-delay", nargs="*", default=["0.7", "2"], choices=["0.7", "2", "4"], help="0.7 2")
    parser.add_argument("--out", type=Path, help="also write the report to this file")
    wanted = parser.parse_args(given)
    report: dict[str, Any] = {"machine": machine.fingerprint(), "model": wanted.model, "max_delay": {}}
    for delay in wanted.max_delay:
        report["max_delay"][delay] = measure(wanted.model, wanted.models_dir, delay)
    text = json.dumps(machine.rounded(report), indent=2, ensure_ascii=False)
    if wanted.out:
        wanted.out.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
