"""The API reference as an OpenAPI document, as Markdown, and as HTML without scripts.

Like the vendor's pages it is served as `/docs`, `/docs.md`, as Markdown for `Accept: text/markdown`, and as `/llms.txt`.
"""

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce import __version__
from sottovoce.web.docs import guides, job_options, schemas
from sottovoce.web.docs.additions import ADDITIONS
from sottovoce.web.docs.openai_operations import OPENAI
from sottovoce.web.docs.operation import Operation
from sottovoce.web.docs.operations import DISCOVERY, LEGACY, MANAGEMENT, OPERATIONS
from sottovoce.web.portal.assets import page
from sottovoce.web.routing import Handler, Route
from sottovoce.web.workspace.operations import WORKSPACE

ALL_OPERATIONS = (*OPERATIONS, *ADDITIONS, *MANAGEMENT, *WORKSPACE, *DISCOVERY, *LEGACY, *OPENAI)
"""Every operation, in the order of the reference."""

_OPERATORS = {
    "/health/live": ("Check that the process answers", "The process answers."),
    "/health/ready": ("Check that jobs can be accepted and done; 503 if not", "Jobs can be accepted and done."),
    "/metrics": ("Read the metrics", "Metrics in the Prometheus text format."),
}
"""Paths for operators, with the summary and the description of the success response."""


def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {
        path: {"get": {"summary": summary, "tags": ["operations"], "responses": {"200": {"description": returns}}}}
        for path, (summary, returns) in _OPERATORS.items()
    }
    for operation in ALL_OPERATIONS:
        paths.setdefault(f"{operation.base}{operation.path}", {})[operation.method.lower()] = operation.openapi()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sottovoce",
            "version": __version__,
            "summary": "Self-hosted speech-to-text with the Speechmatics wire contract",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas.components(),
        },
    }


def markdown() -> str:
    """The whole reference as Markdown."""
    parts = [
        f"# Sottovoce {__version__}: API reference\n",
        "Self-hosted speech-to-text. Send `Authorization: Bearer <API key>` with every request under `/v2`, `/v1` and `/account`.",
        "Errors are JSON: `{code, error, detail}`. Errors of V1 are `{code, error}`, and HTML from status 500.",
        "Errors of OpenAI's API are `{error: {message, type, param, code}}`.",
        "The machine-readable form of this page is `/openapi.json`.\n",
        "Health: `GET /health/live`, `GET /health/ready`; metrics: `GET /metrics`.\n",
    ]
    for operation in ALL_OPERATIONS:
        parts += _section(operation)
    parts += ["## JobConfig\n", job_options.table()]
    return "\n".join(parts) + "\n"


def _section(operation: Operation) -> list[str]:
    lines = [
        f"## {operation.summary}\n",
        f"`{operation.method} {operation.base}{operation.path}` → {operation.status}\n",
        operation.description + "\n",
    ]
    rows = [("query", name, meaning) for name, _, meaning in operation.query]
    rows += [("header", name, meaning) for name, meaning in operation.headers]
    rows += [("part", name, meaning) for name, _, meaning in operation.form]
    rows += [("member", name, meaning) for name, _, meaning in operation.body]
    if rows:
        lines += ["| where | name | meaning |", "|---|---|---|", *(f"| {a} | `{b}` | {c} |" for a, b, c in rows), ""]
    lines += ["| status | when |", "|---|---|", *(f"| {code} | {when} |" for code, when in operation.all_errors), ""]
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pages:
    """The reference in three forms. *html*: without the frame of the page."""

    markdown: bytes
    html: str
    document: bytes


@cache
def _made() -> _Pages:
    """The reference, made once in a process: it takes longer than the rest of a start, and few processes are asked for it."""
    text = markdown()
    return _Pages(markdown=text.encode(), html=guides.html(text), document=orjson.dumps(openapi()))


async def _pages() -> _Pages:
    return await asyncio.to_thread(_made)


def routes() -> list[Route]:
    """`/docs` as HTML or Markdown, `/docs.md`, `/llms.txt`, `/openapi.json`, and the pages of docs/."""

    async def docs(request: Request) -> Response:
        if "text/markdown" in request.headers.get("accept", ""):
            return await docs_markdown(request)
        response = page("doc.html", title="API reference", body=(await _pages()).html)
        response.headers["vary"] = "accept"
        return response

    async def docs_markdown(_request: Request) -> Response:
        return Response((await _pages()).markdown, headers={"content-type": guides.MARKDOWN, "vary": "accept"})

    async def llms(_request: Request) -> Response:
        return Response((_LLMS + guides.index()).encode(), headers={"content-type": "text/plain; charset=utf-8"})

    async def openapi_json(_request: Request) -> Response:
        return Response((await _pages()).document, media_type="application/json")

    handlers: dict[str, Handler] = {
        "/docs": docs,
        "/docs.md": docs_markdown,
        "/llms.txt": llms,
        "/openapi.json": openapi_json,
    }
    found = [Route(path=path, handlers={"GET": handler}) for path, handler in handlers.items()]
    return found + guides.routes()


_LLMS = """# Sottovoce

> Self-hosted speech-to-text with the Speechmatics wire contract.

- [API reference](/docs.md): every operation, its parameters and errors
- [OpenAPI](/openapi.json): the same, machine-readable
"""
