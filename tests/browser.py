"""A real browser for tests of pages: Debian's Chromium, driven by Playwright.

Most tests take the headless shell: the same engine without the parts for windows, for about half of the processor's time.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

_WHOLE = ("chromium", "chromium-browser", "google-chrome")
_SHELL = ("chromium-headless-shell", *_WHOLE)
PATIENCE_MS = 60_000
"""A deadline against a hang; no test is about speed."""


def chromium(*, whole: bool = False) -> str:
    """The path of the browser; *whole*: of one that can share its tabs, too. Fails with the command that installs it."""
    found = next(filter(None, map(shutil.which, _WHOLE if whole else _SHELL)), None)
    if found is None:
        pytest.fail("Chromium is not installed: run `make setup-browser`", pytrace=False)
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window."""
    path = chromium()
    expect.set_options(timeout=PATIENCE_MS)  # the library's own 5 s are too short on a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page of a new visitor, with what it did wrong: *complaints* of the console, and requests to *foreign* origins."""

    page: Page
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    agrees: bool = False
    """Its answer to dialogs."""

    def check(self) -> None:
        """Fail if the page asked another origin, violated its policy, or reported an error."""
        assert not self.foreign
        assert not self.complaints
        assert not self.dialogs


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Visit]:
    """A visitor of the server at *url*. Requests to other origins are recorded and fail."""
    context = browser.new_context(base_url=url, **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    visit = Visit(page, context)
    origin = urlsplit(url).netloc

    def watch(request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != origin:
            visit.foreign.append(request.url)

    def answer(dialog: Any) -> None:
        visit.dialogs.append(dialog.message)
        if visit.agrees:
            dialog.accept()
        else:
            dialog.dismiss()

    context.on("request", watch)
    # violations of the policy and failed requests are errors of the console, too
    context.on("console", lambda line: visit.complaints.append(line.text) if line.type == "error" else None)
    context.on("weberror", lambda found: visit.complaints.append(str(found.error)))
    page.on("dialog", answer)
    try:
        yield visit
    finally:
        context.close()


def let_in(context: BrowserContext, *, key: str | None = None, account: tuple[str, str] | None = None) -> None:
    """Sign in with an API key, or with the e-mail address and the password of an account, by the requests of the sign-in page:
    to load and fill that page in each test is dear.
    """
    asked: list[tuple[str, dict[str, str]]] = [("/portal/session", {} if key is None else {"api_key": key})]
    if account is not None:
        asked.insert(0, ("/account/login", {"email": account[0], "password": account[1]}))
    for path, body in asked:
        answer = context.request.post(path, data=body)
        assert answer.ok, answer.text()


def until_true(page: Page, expression: str) -> None:
    """Wait until *expression* is true. Playwright's own `wait_for_function` needs `eval` in the page, which the policy forbids."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def until_seen(page: Page, look: Callable[[], bool]) -> None:
    """Wait until *look*, at what the handlers of *page* recorded, is true: they run only while Playwright waits."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not look():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
