"""The pages of docs/ as HTML and as Markdown, below `/docs`.

A wheel has them beside this file; an editable installation reads those of the checkout.
"""

import asyncio
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from sottovoce.errors import Kind, Refused
from sottovoce.web.portal.assets import page
from sottovoce.web.routing import Route

if TYPE_CHECKING:
    from markdown_it.token import Token

MARKDOWN = "text/markdown; charset=utf-8"
_FOLDERS = (Path(__file__).parent / "guides", Path(__file__).parents[4] / "docs")
_SUFFIX = ".md"
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """A page of docs/. *name*: its path without `.md`."""

    name: str
    text: str

    @property
    def title(self) -> str:
        """Its first heading."""
        found = _HEADING.search(self.text)
        return found[1].replace("`", "") if found else self.name

    @property
    def summary(self) -> str:
        """The first sentence after its first heading, as plain text."""
        _, _, after = self.text.partition("\n")
        paragraph = " ".join(after.strip().partition("\n\n")[0].split())
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph)
        return re.split(r"(?<=[.:])\s", plain, maxsplit=1)[0].rstrip(":")


def _folder() -> Path | None:
    return next((each for each in _FOLDERS if each.is_dir()), None)


@cache
def pictures() -> dict[str, bytes]:
    """The pictures of the pages by their path below docs/."""
    folder = _folder()
    found = sorted(folder.rglob("*.png")) if folder else []
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if folder}


@cache
def guides() -> dict[str, Guide]:
    """Every page by its name; none if the installation has no docs."""
    folder = _folder()
    found = sorted(folder.rglob(f"*{_SUFFIX}")) if folder else []
    names = {path.relative_to(folder).with_suffix("").as_posix(): path for path in found if folder}
    return {name: Guide(name=name, text=path.read_text(encoding="utf-8")) for name, path in names.items()}


def index() -> str:
    """The list of the pages for `/llms.txt`, as Markdown."""
    return "".join(f"- [{each.title}](/docs/{each.name}.md): {each.summary}\n" for each in guides().values())


def html(text: str, at: str = "") -> str:
    """*text*, Markdown of the page *at*, as HTML: headings have anchors as GitHub makes them, and links lead to pages here."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    _set_anchors(tokens)
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                _redirect(child, posixpath.dirname(at))
            elif child.type == "image":
                path = posixpath.normpath(posixpath.join(posixpath.dirname(at), str(child.attrGet("src"))))
                child.attrSet("src", f"/docs/{path}")
    rendered: str = parser.renderer.render(tokens, parser.options, {})
    # what scrolls sideways must be reachable with the keyboard
    rendered = rendered.replace("<pre>", '<pre tabindex="0">').replace("</table>", "</table></div>")
    return rendered.replace("<table>", '<div class="scroll" tabindex="0"><table>')


def _set_anchors(tokens: "Sequence[Token]") -> None:
    used: dict[str, int] = {}
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            words = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            seen = used[slug] = used.get(slug, -1) + 1
            token.attrSet("id", f"{slug}-{seen}" if seen else slug)


def _redirect(link: "Token", folder: str) -> None:
    """Lead *link* in a page of *folder* to the page here; remove its address if the target is a file of the repository."""
    path, mark, anchor = str(link.attrGet("href") or "").partition("#")
    if not path or "://" in path or path.startswith(("/", "mailto:")):
        return
    target = posixpath.normpath(posixpath.join(folder, path))
    if target.removesuffix(_SUFFIX) in guides() and target.endswith(_SUFFIX):
        link.attrSet("href", f"/docs/{target.removesuffix(_SUFFIX)}{mark}{anchor}")
    else:
        del link.attrs["href"]


@cache
def _rendered(name: str) -> str:
    return html(guides()[name].text, name)


async def _guide(request: Request) -> Response:
    """`GET /docs/{name}`: HTML, or Markdown for `.md` and for `Accept: text/markdown`."""
    path = request.path_params["name"]
    if path in pictures():
        return Response(pictures()[path], media_type="image/png")
    found = guides().get(path.removesuffix(_SUFFIX))
    if found is None:
        raise Refused(Kind.PAGE_NOT_FOUND)
    if path.endswith(_SUFFIX) or "text/markdown" in request.headers.get("accept", ""):
        return Response(found.text.encode(), headers={"content-type": MARKDOWN, "vary": "accept"})
    body = await asyncio.to_thread(_rendered, found.name)
    response = page("doc.html", title=found.title, body=body)
    response.headers["vary"] = "accept"
    return response


def routes() -> list[Route]:
    """The route of every page."""
    return [Route(path="/docs/{name:path}", handlers={"GET": _guide})]
