"""The pages behind the links in mails: one field, one button, the same bytes for every link.

A page sends the token of its address and the password as JSON to its own address. It changes nothing by itself, because programs
that scan mails follow links.
"""

import base64
import hashlib
from dataclasses import dataclass

from starlette.responses import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The words of a page. *autocomplete*: which password a browser fills in; *done*: shown after success."""

    title: str
    label: str
    autocomplete: str
    button: str
    done: str


VERIFY = Texts(
    title="Confirm your e-mail address",
    label="The password that you chose at the registration",
    autocomplete="current-password",
    button="Confirm",
    done="Your address is confirmed, and your account is open.",
)
RESET = Texts(
    title="Set a new password",
    label="The new password, 10 to 256 characters",
    autocomplete="new-password",
    button="Set the password",
    done="Your password is set. Log in with it.",
)
JOIN = Texts(
    title="Accept the invitation",
    label="Choose a password, 10 to 256 characters",
    autocomplete="new-password",
    button="Accept",
    done="Your account is open.",
)

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem;color:#1d2330;background:#fff}
label{display:block}input,button{font:inherit;width:100%;box-sizing:border-box;margin:.4rem 0 1rem;padding:.5rem}
button{border:0;border-radius:4px;background:#2b50a8;color:#fff;cursor:pointer}
@media(prefers-color-scheme:dark){body{background:#14171d;color:#e3e7ee}}
"""
_SCRIPT = """
const form = document.querySelector("form"), state = document.querySelector("output");
const token = new URLSearchParams(location.search).get("token") || "";
history.replaceState(null, "", location.pathname);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  state.textContent = "Please wait …";
  try {
    const body = JSON.stringify({token, password: form.password.value});
    const answer = await fetch(location.pathname, {method: "POST", headers: {"Content-Type": "application/json"}, body});
    if (answer.ok) {
      form.hidden = true;
      state.textContent = form.dataset.done;
    } else {
      const told = await answer.json();
      state.textContent = told.detail || told.error;
    }
  } catch {
    state.textContent = "The server cannot be reached. Try again.";
  }
});
"""
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style>
<body><h1>{title}</h1>
<form data-done="{done}"><label for="password">{label}</label>
<input id="password" name="password" type="password" required maxlength="256" autocomplete="{autocomplete}">
<button>{button}</button></form>
<output role="status"></output>
<p><a href="/portal/sign-in">Sign in</a></p><noscript>This page needs JavaScript.</noscript>
<script>{script}</script></body></html>
"""


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_POLICY = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "cache-control": "no-store", "referrer-policy": "no-referrer"}


def page(texts: Texts) -> Response:
    """The page with *texts*."""
    body = _PAGE.format(
        title=texts.title,
        style=_STYLE,
        done=texts.done,
        label=texts.label,
        autocomplete=texts.autocomplete,
        button=texts.button,
        script=_SCRIPT,
    )
    return Response(body, media_type="text/html", headers=_HEADERS)
