"""What the tests of alignment send, and how they read what comes back."""

import contextlib
import email
import email.policy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.contract.v1_site import Site
from tests.listeners import Asked, Listener, Reply
from tests.servers import PATIENCE, Server, tls, until

AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
MEDIA = (AUDIO / "speech.flac").read_bytes()
SECONDS = 2.92
SAID = ["Nothing", "that", "you", "say", "will", "leave", "this", "room."]
TEXT = '\ufeff<h1 id="1">\r\n  Nothing that <!-- a > b -->\tyou say\r\n\r\n<p>\nwill <b>leave</b>\u00a0this\rroom.</h1> \n'.encode()
"""What is said, with all that must come back untouched."""
LINES = [b"  Nothing that", b"will <b>leave", b"room."]
"""How the lines with words begin."""
OTHER = b"My grandmother keeps seven yellow parrots behind an old piano factory."
JOB: dict[str, Any] = {"type": "alignment", "alignment_config": {"language": "en"}}
BILLED = 5


SERVED = {
    "/media": MEDIA,
    "/text": TEXT,
    "/latin": "Café".encode("latin-1"),
    "/wide": TEXT.decode().encode("utf-16"),
    "/none": b"<p></p>",
}


def there(asked: Asked, _number: int) -> Reply:
    """The files by name; everything else is a notification, and taken."""
    if asked.method != "GET":
        return Reply()
    return Reply(body=SERVED[asked.path]) if asked.path in SERVED else Reply(status=404)


def post(
    server: Server, config: dict[str, Any] = JOB, *, text: bytes | None = TEXT, media: bytes | None = MEDIA, **more: Any
) -> httpx.Response:
    """The answer to a submission of what is given."""
    files: dict[str, Any] = {"config": (None, json.dumps(config))}
    files |= {} if media is None else {"data_file": ("talk.flac", media)}
    files |= {} if text is None else {"text_file": ("talk.en.txt", text)}
    with server.client() as client:
        return client.post("/v2/jobs", files=files, **more)


def accepted(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def get(server: Server, path: str, key: str | None = None, **params: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or server.key}"}
    return httpx.get(f"{server.url}/v2{path}", params=params, headers=headers, timeout=PATIENCE, verify=tls())


def refused(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["code"] == answer.status_code
    return answer.status_code, body["error"]


def bare(aligned: bytes) -> bytes:
    """*aligned* (`word_start_and_end`) without what was put in."""
    return re.sub(rb"<time=\d+\.\d\d>", b"", aligned)


def lined(aligned: bytes) -> list[tuple[bytes, bytes]]:
    """Each line of *aligned* (`one_per_line`) that has a time: that, and what follows it up to the end of the line."""
    return re.findall(rb"\[(\d\d:\d\d:\d\d\.\d)\]\t([^\r\n]*)", aligned)


def told(*entries: dict[str, Any]) -> dict[str, Any]:
    return {**JOB, "notification_config": list(entries)}


def form(asked: Asked) -> dict[str, tuple[str, str, bytes]]:
    """The parts of a form by name, as the standard library's mail parser reads them: file name, media type, content."""
    head = f"Content-Type: {asked.headers['content-type']}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.message_from_bytes(head + asked.body, policy=email.policy.HTTP)
    found = {}
    for part in message.iter_parts():
        named = part["content-disposition"].params
        content = bytes(part.get_payload(decode=True))
        found[str(named["name"])] = (str(named["filename"]), part.get_content_type(), content)
    return found


def heard(receiver: Listener, job_id: str, count: int = 1) -> dict[str, Asked]:
    """The notifications of a job by path, once there are so many."""
    found = until(lambda: receiver.about(job_id) if len(receiver.about(job_id)) >= count else None, "notifications")
    return {asked.path: asked for asked in found}


NO_TEXTS = {
    "nothing": (b"", "no words"),
    "blanks": (b" \r\n\t\xc2\xa0", "no words"),
    "tags alone": (b"<p><b></b><!-- Good morning > --></p>", "no words"),
    "a comment that holds it all": (b"<!-- >" * 50_000 + b"Good morning. -->", "no words"),
    "every byte": (bytes(range(256)), "not UTF-8: byte 128"),
    "UTF-16": (TEXT.decode().encode("utf-16"), "not UTF-8: byte 0"),
    "UTF-16 without its mark": ("Good day".encode("utf-16-le"), "a control character at 1"),
    "Latin-1": ("Café au lait".encode("latin-1"), "not UTF-8: byte 3"),
    "half a letter": ("Café".encode()[:-1], "not UTF-8"),
    "a surrogate": (b"Good \xed\xa0\x80 day", "not UTF-8"),
    "NUL": (b"Good\0day", "a control character at 4"),
    "escapes": (b"\x08Good day", "a control character at 0"),
    "a recording": (MEDIA, "text_file"),
    "a million words and one": (b"w " * 1_000_001, "more than 1000000 words"),
    "seventeen million bytes": (b"all work " * 1_900_000, "larger than"),
}


def stored(server: Server) -> set[str]:
    """Jobs of which something is stored."""
    root = server.data / "eu1" / "blobs" / "jobs"
    found = set()
    for folder in root.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # gone since
            found |= {folder.name} if any(folder.iterdir()) else set()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Hopeless:
    """Something that only the worker finds out."""

    text: bytes
    media: bytes = MEDIA
    why: str


HOPELESS = {
    "another text": Hopeless(text=OTHER, why="is not what is said"),
    "marks alone": Hopeless(text=b"--- ... !!!", why="no words"),
    "silence": Hopeless(text=TEXT, media=(AUDIO / "silence.wav").read_bytes(), why="no speech"),
    "no samples": Hopeless(text=TEXT, media=(AUDIO / "no_samples.wav").read_bytes(), why="no speech"),
    "a hundred thousand words": Hopeless(text=b"word " * 100_000, why="far too long to be spoken"),
    "three million bytes": Hopeless(text=b"everything    " * 220_000, why="far too long to be spoken"),
    "a word without end": Hopeless(text=b"w" * 200_000, why=""),
}


def put(site: Site, *, text: bytes = TEXT, media: bytes = MEDIA, **fields: str) -> httpx.Response:
    """The answer of V1 to a form as `requests` sends it: files and fields."""
    files = {"data_file": ("talk.flac", media), "text_file": ("talk.en.txt", text, "text/plain; charset=utf-8")}
    return site.ask("POST", "/user/1/jobs/", data={"model": "en-US", "notification": "none", **fields}, files=files)


def numbered(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.json()["id"])


def legacy_refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and text; the body has exactly two members."""
    assert set(answer.json()) == {"code", "error"}
    return refused(answer)
