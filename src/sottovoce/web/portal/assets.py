"""The static files of the portal, its templates, and the headers of its pages.

All files are read at the start. Their address has a digest of all of them, so that a browser keeps each as long as it likes and
a new release is never mixed with the modules of an older one.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.web.routing import Route

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
BASE = "/portal/static"
_SCRIPT = "text/javascript; charset=utf-8"
_TYPES = {".js": _SCRIPT, ".mjs": _SCRIPT, ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_MODULES = {
    "lit": "vendor/lit/lit-element-4.2.2.js",
    "lit-html": "vendor/lit/lit-html-3.3.3.js",
    "@lit/reactive-element": "vendor/lit/reactive-element-2.1.2.js",
    "@speechmatics/real-time-client": "vendor/real-time-client/index.browser-8.5.1.js",
    "typescript-event-target": "vendor/typescript-event-target/index-1.1.2.mjs",
}
"""The vendored file of each module that is imported by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """The files by their path below `static/`, and the *digest* of all of them."""

    files: dict[str, bytes]
    digest: str

    def url(self, path: str) -> str:
        """The address of the file *path*."""
        return f"{BASE}/{self.digest}/{path}"

    @property
    def import_map(self) -> str:
        """The import map for the pages (HTML standard §8.1.5.2), as JSON."""
        return json.dumps({"imports": {name: self.url(path) for name, path in _MODULES.items()}})

    @property
    def policy(self) -> str:
        """The Content-Security-Policy of every page: nothing of another origin, and no inline script but the import map."""
        allowed = base64.b64encode(hashlib.sha256(self.import_map.encode()).digest()).decode()
        return (
            f"default-src 'self'; script-src 'self' 'sha256-{allowed}'; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html"
        )


@cache
def assets() -> Assets:
    """The static files of this release."""
    files = {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in sorted(STATIC.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }
    whole = hashlib.sha256()
    for name, content in files.items():
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return Assets(files=files, digest=whole.hexdigest()[:16])


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def page(template: str, **values: object) -> Response:
    """The page that *template* makes of *values*, with the headers of every page."""
    found = assets()
    body = _environment().get_template(template).render(url=found.url, import_map=found.import_map, **values)
    return Response(
        body,
        media_type="text/html",
        headers={
            "content-security-policy": found.policy,
            "cache-control": "no-store",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "geolocation=()",  # no camera=(): sharing a tab then reports a violation
        },
    )


async def _static(request: Request) -> Response:
    found = assets()
    path = request.path_params["path"]
    content = found.files.get(path)
    if content is None:
        raise Refused(Kind.PAGE_NOT_FOUND)
    current = request.path_params["digest"] == found.digest
    return Response(
        content,
        media_type=_TYPES[Path(path).suffix],
        headers={"cache-control": "public, max-age=31536000, immutable" if current else "no-cache"},
    )


def routes() -> list[Route]:
    """The route of the static files."""
    return [Route(path=BASE + "/{digest}/{path:path}", handlers={"GET": _static})]
