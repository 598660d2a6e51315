"""Requests that nobody should send, and what each must be told: data for `test_bad_requests.py`.

`KEY` in a request stands for a key that works. Each is whole HTTP, so that it can be wrong anywhere.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.contract.bad_inputs import ABSENT, FIELDS, GOOD, MEDIA, SILENCE, TEXTS
from tests.contract.raw import MULTIPART, Header, Part, config_part, head, media_part, multipart

KEY = "key-that-works"
MAX_UPLOAD = 400_000
"""What the server of these requests accepts as media, in bytes."""
NO_ANSWER = 0
"""The status of a request that ends before anybody could answer it."""

REJECTED, INVALID, MALFORMED = "Job rejected", "Job config JSON is invalid", "Malformed request"
AUDIO_ERROR, TEXT_ERROR, NOT_FOUND, NO_PAGE, DENIED = (
    "Job rejected due to invalid audio",
    "Job rejected due to invalid text",
    "Job not found",
    "Page Not Found",
    "Permission Denied",
)
BAD, FORMAT = "Bad Request", "Format Not Supported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """One bad request. *detail* is a fragment of the promised one."""

    name: str
    sent: bytes
    status: int
    error: str = ""
    detail: str = ""
    hang_up: bool = False


AUTH: tuple[Header, ...] = (("Host", "localhost"), ("Connection", "close"), ("Authorization", f"Bearer {KEY}"))
ANONYMOUS = AUTH[:2]


def ask(
    target: str | bytes, method: str = "GET", *more: Header, auth: Sequence[Header] = AUTH, body: bytes = b""
) -> bytes:
    """A request of any method."""
    length = [("Content-Length", str(len(body)))] if body else []
    return head(method, target, [*auth, *length, *more]) + body


def post(
    body: bytes, *more: Header, kind: str | None = MULTIPART, target: str = "/v2/jobs", length: str | None = ""
) -> bytes:
    """A submission of *body* as it is; *length* "" is the true one, `None` none at all."""
    headers = [*AUTH]
    if kind is not None:
        headers.append(("Content-Type", kind))
    if length is not None:
        headers.append(("Content-Length", length or str(len(body))))
    return head("POST", target, [*headers, *more]) + body


def form(*parts: Part, target: str = "/v2/jobs") -> bytes:
    """A submission of *parts*."""
    return post(multipart(parts), target=target)


def submit(config: object, media: bytes = SILENCE, filename: str = "speech.wav") -> bytes:
    """A submission that is wrong at most in its config or its media."""
    return form(config_part(config), media_part(media, filename))


def chunks(data: bytes, size: int = 1000) -> bytes:
    """*data* in chunks, without the last one."""
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def chunked(body: bytes) -> bytes:
    """A submission without a length whose body is *body*, chunk marks included."""
    return post(body, ("Transfer-Encoding", "chunked"), length=None)


def _configs() -> Iterator[Bad]:
    for group, table in (("field", FIELDS), ("text", TEXTS), ("absent", ABSENT)):
        for name, config, fragment in table:
            yield Bad(name=f"{group}: {name}", sent=submit(config), status=400, error=REJECTED, detail=fragment)


def _media() -> Iterator[Bad]:
    for name, media, filename, fragment in MEDIA:
        yield Bad(
            name=f"media: {name}", sent=submit(GOOD, media, filename), status=400, error=AUDIO_ERROR, detail=fragment
        )


# ── multipart ──

_CONFIG, _MEDIA = config_part(GOOD), media_part(SILENCE)
_ALIGNING = config_part({"type": "alignment", "alignment_config": {"language": "en"}})
_TEXT = Part(name="text_file", body=b"Good day.", filename="a.txt")
_WHOLE = multipart([_CONFIG, _MEDIA])
_NO_CONFIG = "config: the part is missing"

# (name, parts, error, fragment)
PARTS: tuple[tuple[str, tuple[Part, ...], str, str], ...] = (
    ("none at all", (), REJECTED, _NO_CONFIG),
    ("no config", (_MEDIA,), REJECTED, _NO_CONFIG),
    ("no media", (_CONFIG,), "Missing data_file", "data_file"),
    ("no media, but its text", (_CONFIG, _TEXT), "Missing data_file", ""),
    ("a text that nobody asked for", (_CONFIG, _MEDIA, _TEXT), REJECTED, "text_file: is for jobs of type alignment"),
    ("an alignment without its text", (_ALIGNING, _MEDIA), "Missing text_file", ""),
    ("an alignment without its media", (_ALIGNING, _TEXT), "Missing data_file", ""),
    ("text twice", (_ALIGNING, _TEXT, _MEDIA, _TEXT), MALFORMED, "text_file: given twice"),
    ("text under another name", (_ALIGNING, _MEDIA, Part(name="text", body=b"Good day.")), "Missing text_file", ""),
    ("text that is media", (_ALIGNING, _MEDIA, Part(name="text_file", body=SILENCE)), TEXT_ERROR, "text_file"),
    ("text without a word", (_ALIGNING, _MEDIA, Part(name="text_file", body=b"<p>")), TEXT_ERROR, "no words"),
    ("config twice", (_CONFIG, _CONFIG, _MEDIA), MALFORMED, "config: given twice"),
    ("media twice", (_CONFIG, _MEDIA, _MEDIA), MALFORMED, "data_file: given twice"),
    ("config again behind the media", (_CONFIG, _MEDIA, _CONFIG), MALFORMED, "config: given twice"),
    ("a stranger twice", (_CONFIG, Part(name="a"), Part(name="a"), _MEDIA), MALFORMED, "a: given twice"),
    ("a bad config behind the media", (_MEDIA, config_part({})), REJECTED, "type: is required"),
    ("bad media before the config", (media_part(b"nothing"), _CONFIG), AUDIO_ERROR, "known format"),
    ("config in capitals", (Part(name="CONFIG", body=b"{}"), _MEDIA), REJECTED, _NO_CONFIG),
    ("config with a blank", (Part(name="config ", body=b"{}"), _MEDIA), REJECTED, _NO_CONFIG),
    ("config[]", (Part(name="config[]", body=b"{}"), _MEDIA), REJECTED, _NO_CONFIG),
    ("media under V1's kind of name", (_CONFIG, Part(name="file", body=SILENCE, filename="a.wav")), "Missing data_file", ""),
    ("media under a name of capitals", (_CONFIG, Part(name="Data_File", body=SILENCE, filename="a.wav")), "Missing data_file", ""),
    ("media in the config", (Part(name="config", body=SILENCE, filename="a.wav"), _MEDIA), REJECTED, "is not valid JSON"),
    ("config in the media", (_CONFIG, Part(name="data_file", body=_CONFIG.body, filename="c.json")), AUDIO_ERROR, "known format"),
    ("media in base64", (_CONFIG, Part(name="data_file", body=b"UklGRiR9AABXQVZF" * 9, filename="a.wav")), AUDIO_ERROR, ""),
    ("33 parts", tuple(Part(name=f"p{k}") for k in range(33)), MALFORMED, "segment count"),
    ("a field of five megabytes", (Part(name="config", body=b" " * 4_300_000), _MEDIA), MALFORMED, "config: larger than 4194304"),
    ("two fields of five together", (Part(name="a", body=b" " * 2_700_000), Part(name="b", body=b" " * 2_600_000)), MALFORMED, "besides the media"),
    ("media a little too large", (_CONFIG, media_part(b"RIFF" + bytes(MAX_UPLOAD - 3))), REJECTED, "larger than the 400000 bytes"),
    ("media too large before the config", (media_part(bytes(MAX_UPLOAD + 9)), _CONFIG), REJECTED, "larger than the 400000 bytes"),
)  # fmt: skip

# header lines of a part that is followed by a good config and good media (name, lines, fragment)
HEADS: tuple[tuple[str, bytes, str], ...] = (
    ("none", b"", "Missing Content-Disposition"),
    ("another kind", b"Content-Type: text/plain\r\n", "Missing Content-Disposition"),
    ("an attachment", b'Content-Disposition: attachment; name="a"\r\n', "Wrong type"),
    ("no colon", b"nonsense\r\n", "Malformed segment header"),
    ("a blank in a name", b"Content Disposition: form-data\r\n", "Invalid segment header name"),
    ("a NUL in a name", b"Content\0Disposition: form-data\r\n", "Invalid segment header name"),
    ("not UTF-8", b'Content-Disposition: form-data; name="\xff"\r\n', "failed to decode"),
    ("a continuation of nothing", b" form-data\r\n", "continuation"),
    ("a bare newline", b"Content-Disposition: form-data\nX: y\r\n", ""),
    ("5,000 characters", b"X: " + b"y" * 5000 + b"\r\n", "too many or too large"),
    ("20 lines", b"".join(b"X%d: y\r\n" % k for k in range(20)), "too many or too large"),
    (
        "a length too short",
        b'Content-Disposition: form-data; name="a"\r\nContent-Length: 1\r\n',
        "Content-Length exceeded",
    ),
    ("a length too long", b'Content-Disposition: form-data; name="a"\r\nContent-Length: 99\r\n', "does not match"),
    ("a length that is none", b'Content-Disposition: form-data; name="a"\r\nContent-Length: x\r\n', "Content-Length"),
    (
        "two lengths",
        b'Content-Disposition: form-data; name="a"\r\nContent-Length: 7\r\nContent-Length: 7\r\n',
        "Multiple",
    ),
)

# bodies that end too early or are framed wrongly (name, body)
BROKEN: tuple[tuple[str, bytes], ...] = (
    ("nothing", b""),
    ("one byte", _WHOLE[:1]),
    ("half a boundary", _WHOLE[:10]),
    ("cut in the first header", _WHOLE[:60]),
    ("cut in the config", _WHOLE[:110]),
    ("cut behind the config", _WHOLE[: _WHOLE.index(b"data_file") - 60]),
    ("cut in the media", _WHOLE[:5000]),
    ("cut before the last boundary", _WHOLE[: _WHOLE.rindex(b"--a-line")]),
    ("cut in the last boundary", _WHOLE[:-6]),
    ("no end mark", multipart([_CONFIG, _MEDIA], end=b"\r\n")),
    ("newlines only", _WHOLE.replace(b"\r\n", b"\n")),
    ("no boundary at all", b"x" * 3000),
    ("another boundary", multipart([_CONFIG, _MEDIA], boundary="another")),
    ("text before the boundary", b"x" + _WHOLE),
    ("text behind a boundary", _WHOLE.replace(b"parts\r\n", b"parts x\r\n")),
    ("JSON", json.dumps(GOOD).encode()),
    ("the media alone", SILENCE),
)

# (name, content type)
KINDS: tuple[tuple[str, str | None], ...] = (
    ("none", None),
    ("JSON", "application/json"),
    ("bytes", "application/octet-stream"),
    ("a plain form", "application/x-www-form-urlencoded"),
    ("audio", "audio/wav"),
    ("mixed", MULTIPART.replace("form-data", "mixed")),
    ("no boundary", "multipart/form-data"),
    ("an empty boundary", "multipart/form-data; boundary="),
    ("an empty boundary in quotes", 'multipart/form-data; boundary=""'),
    ("a boundary of 300", f"multipart/form-data; boundary={'x' * 300}"),
    ("a boundary of accents", 'multipart/form-data; boundary="\xe9\xe9"'),
    ("another boundary", "multipart/form-data; boundary=another"),
    ("no kind", "; boundary=a-line-between-parts"),
)


def _multipart() -> Iterator[Bad]:
    for name, parts, error, fragment in PARTS:
        status = 413 if "larger than the" in fragment else 400
        yield Bad(name=f"parts: {name}", sent=form(*parts), status=status, error=error, detail=fragment)
    for name, lines, fragment in HEADS:
        odd = Part(head=lines, body=b"abcdefg")
        yield Bad(
            name=f"part head: {name}", sent=form(odd, _CONFIG, _MEDIA), status=400, error=MALFORMED, detail=fragment
        )
    for name, body in BROKEN:
        yield Bad(
            name=f"body: {name}", sent=post(body), status=400, error=MALFORMED, detail="not a valid multipart body"
        )
    for name, kind in KINDS:
        yield Bad(
            name=f"content type: {name}", sent=post(_WHOLE, kind=kind), status=400, error=MALFORMED, detail="multipart"
        )


# ── how long the body is ──


def _framing() -> Iterator[Bad]:
    bad = multipart([config_part({}), _MEDIA])
    much = multipart([_CONFIG, media_part(bytes(MAX_UPLOAD + 1))])
    too_much = {"status": 413, "error": REJECTED, "detail": "larger than the 400000 bytes"}
    for name, length in (
        ("a terabyte", "1000000000000"),
        ("63 bits", str(2**63 - 1)),
        ("64 bits", str(2**64 - 1)),
        ("ten megabytes", "10000000"),
    ):
        yield Bad(name=f"length: {name} announced", sent=post(b"", length=length), **too_much)  # type: ignore[arg-type]
    for name, length in (
        ("negative", "-1"),
        ("a word", "many"),
        ("a sum", "1+1"),
        ("hexadecimal", "0x10"),
        ("65 bits", str(2**64)),
        ("a list", "10, 10"),
        ("a fraction", "10.0"),
    ):
        yield Bad(name=f"length: {name}", sent=post(_WHOLE, length=length), status=400, error=BAD)
    cut = {"status": 400, "error": MALFORMED, "detail": "not a valid multipart body"}
    yield Bad(name="length: shorter than the body", sent=post(_WHOLE, length="100"), **cut)  # type: ignore[arg-type]
    yield Bad(name="length: none, and no body", sent=post(b"", length=None), **cut)  # type: ignore[arg-type]
    yield Bad(
        name="length: longer than the body", sent=post(_WHOLE[:-4], length="99999"), status=NO_ANSWER, hang_up=True
    )
    yield Bad(
        name="length: gone in the media", sent=post(_WHOLE[:9000], length="99999"), status=NO_ANSWER, hang_up=True
    )
    yield Bad(
        name="length: gone in the config", sent=post(_WHOLE[:100], length="99999"), status=NO_ANSWER, hang_up=True
    )
    yield Bad(name="length: two", sent=post(_WHOLE, ("Content-Length", "5")), status=400, error=BAD)
    yield Bad(name="length: and chunked", sent=post(_WHOLE, ("Transfer-Encoding", "chunked")), status=400, error=BAD)
    yield Bad(
        name="chunked: in gzip", sent=post(_WHOLE, ("Transfer-Encoding", "gzip"), length=None), status=400, error=BAD
    )
    yield Bad(name="chunked: no number", sent=chunked(b"zz\r\nabc\r\n"), status=400, error=BAD)
    yield Bad(name="chunked: too long a chunk", sent=chunked(b"2\r\nabc\r\n0\r\n\r\n"), status=400, error=BAD)
    yield Bad(name="chunked: nothing", sent=chunked(b"0\r\n\r\n"), **cut)  # type: ignore[arg-type]
    yield Bad(name="chunked: cut", sent=chunked(chunks(_WHOLE[:-20]) + b"0\r\n\r\n"), **cut)  # type: ignore[arg-type]
    yield Bad(name="chunked: gone", sent=chunked(chunks(_WHOLE)[:4000]), status=NO_ANSWER, hang_up=True)
    yield Bad(
        name="chunked: a bad config",
        sent=chunked(chunks(bad) + b"0\r\n\r\n"),
        status=400,
        error=REJECTED,
        detail="type",
    )
    yield Bad(
        name="chunked: byte by byte, a bad config",
        sent=chunked(chunks(multipart([config_part([]), media_part(b"RIFF")]), 1) + b"0\r\n\r\n"),
        status=400,
        error=REJECTED,
        detail="got a list",
    )
    yield Bad(name="chunked: too large", sent=chunked(chunks(much, 60_000) + b"0\r\n\r\n"), **too_much)  # type: ignore[arg-type]


# ── which job ──

# (name, what stands in the path, whether it is a job's address at all)
IDS: tuple[tuple[str, str, bool], ...] = (
    ("unknown", "aaaaaaaaaa", True),
    ("upper case", "AAAAAAAAAA", True),
    ("one character", "a", True),
    ("digits", "0000000001", True),
    ("a number", "1", True),
    ("a negative number", "-1", True),
    ("a UUID", "07ce2ee6-9ca6-4ee6-9fcb-9de9c7e3c6bc", True),
    ("very long", "a" * 10_000, True),
    ("a NUL", "aaaaaaaaa%00", True),
    ("a newline", "aaaaaaaaaa%0a", True),
    ("a blank", "aaaaaaaaaa%20", True),
    ("blanks only", "%20%20", True),
    ("two dots", "%2e%2e", True),
    ("a quote", "'%20or%20'1'='1", True),
    ("a semicolon", "a;drop%20table%20jobs", True),
    ("a wildcard", "%25", True),
    ("a star", "*", True),
    ("accents", "%C3%A9%C3%A9%C3%A9", True),
    ("wide letters", "%EF%BD%81" * 10, True),
    ("not UTF-8", "%ff%fe", True),
    ("a surrogate", "%ED%A0%80", True),
    ("half an escape", "aaaaaaaaa%", True),
    ("no escape", "aaaaaaaaa%zz", True),
    ("a template", "%7B%7B7*7%7D%7D", True),
    ("a path", "..%2f..%2f..%2fetc%2fpasswd", False),
    ("a path in plain", "../../etc/passwd", False),
    ("a path with a backslash", "..%5c..%5cwin.ini", True),
    ("a path twice encoded", "..%252f..%252fetc", True),
)
ROUTES = ("", "/transcript", "/data", "/log")


def _ids() -> Iterator[Bad]:
    for number, (name, job_id, whole) in enumerate(IDS):
        for route in (ROUTES[0], ROUTES[1 + number % 3]):
            error = NOT_FOUND if whole else NO_PAGE
            yield Bad(name=f"id: {name}{route}", sent=ask(f"/v2/jobs/{job_id}{route}"), status=404, error=error)
    for name, job_id, whole in IDS[:6] + IDS[-4:]:
        error = NOT_FOUND if whole else NO_PAGE
        yield Bad(name=f"delete: {name}", sent=ask(f"/v2/jobs/{job_id}?force=true", "DELETE"), status=404, error=error)


# ── which address, which method ──

PATHS = (
    "/v1/user/1/jobs/1/nothing", "/v2", "/v3/jobs", "/V2/jobs", "/v2/job", "/v2/Jobs", "/v2//jobs", "//v2/jobs", "/v2/jobs/a/b",
    "/v2/jobs/a/transcript/b", "/v2/jobs/a/Transcript", "/v2/jobs/../jobs", "/v2/%2e%2e/etc/passwd", "/.env", "/.git/config",
    "/admin", "/v2/jobs%2fa%2fa", "/v2/jobs;a=b", "/v2/jobs.json", "/openapi.yaml", "/%00", "/" + "a" * 20_000,
)  # fmt: skip
METHODS: tuple[tuple[str, str], ...] = (
    ("PUT", "/v2/jobs"), ("PATCH", "/v2/jobs"), ("DELETE", "/v2/jobs"), ("TRACE", "/v2/jobs"), ("PROPFIND", "/v2/jobs"),
    ("POST", "/v2/jobs/aaaaaaaaaa"), ("PUT", "/v2/jobs/aaaaaaaaaa"), ("PATCH", "/v2/jobs/aaaaaaaaaa"),
    ("POST", "/v2/jobs/aaaaaaaaaa/transcript"), ("DELETE", "/v2/jobs/aaaaaaaaaa/transcript"), ("PUT", "/v2/jobs/aaaaaaaaaa/data"),
    ("DELETE", "/v2/jobs/aaaaaaaaaa/log"), ("POST", "/health/live"), ("DELETE", "/metrics"), ("POST", "/docs"),
    ("PUT", "/openapi.json"),
)  # fmt: skip
NOT_HTTP: tuple[tuple[str, bytes], ...] = (
    ("a method that is none", ask("/v2/jobs", "FOO")),
    ("a method in lower case", ask("/v2/jobs", "get")),
    ("no address", ask("")),
    ("an address without a path", ask("http://localhost")),
    ("bytes in the address", ask(b"/v2/jobs/\xff\xfe")),
    ("a NUL in the address", ask(b"/v2/jobs/a\0b")),
    ("a blank in the address", ask("/v2/jobs/a b")),
    ("version 9", head("GET", "/v2/jobs", AUTH, "HTTP/9.9")),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("another protocol", b"EHLO localhost\r\n"),
    ("a header without a colon", b"GET /v2/jobs HTTP/1.1\r\nHost localhost\r\n\r\n"),
    ("a header with a control character", ask("/v2/jobs", "GET", ("X-A", b"a\x01b"))),
    ("a header folded", b"GET /v2/jobs HTTP/1.1\r\nX-A: a\r\n b\r\n\r\n"),
)


def _addresses() -> Iterator[Bad]:
    for path in PATHS:
        yield Bad(name=f"address: {path[:40]}", sent=ask(path), status=404, error=NO_PAGE)
    for method, path in METHODS:
        yield Bad(
            name=f"method: {method} {path}",
            sent=ask(path, method),
            status=405,
            error=BAD,
            detail="does not accept this method",
        )
    big = b"GET /v2/jobs HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + b"x" * (1 << 20)
    yield Bad(name="a head without an end", sent=big, status=400, error=BAD, detail="too long")
    for name, sent in NOT_HTTP:
        yield Bad(name=f"not HTTP: {name}", sent=sent, status=400, error=BAD, hang_up=True)


# ── headers ──

AUTHORIZATIONS: tuple[tuple[str, tuple[Header, ...]], ...] = (
    ("none", ()),
    ("empty", (("Authorization", ""),)),
    ("only its scheme", (("Authorization", "Bearer"),)),
    ("its scheme and a blank", (("Authorization", "Bearer "),)),
    ("without its scheme", (("Authorization", KEY),)),
    ("Basic", (("Authorization", "Basic YWRtaW46YWRtaW4="),)),
    ("Token", (("Authorization", f"Token {KEY}"),)),
    ("with a colon", (("Authorization", f"Bearer: {KEY}"),)),
    ("with a tab", (("Authorization", f"Bearer\t{KEY}"),)),
    ("cut", (("Authorization", f"Bearer {KEY}"[:-1]),)),
    ("too long by one", (("Authorization", f"Bearer {KEY}x"),)),
    ("with a word more", (("Authorization", f"Bearer {KEY} please"),)),
    ("in quotes", (("Authorization", f'Bearer "{KEY}"'),)),
    ("of 5,000 characters", (("Authorization", "Bearer " + "x" * 5000),)),
    ("of 4,096 characters", (("Authorization", "Bearer " + "x" * 4096),)),
    ("of bytes", (("Authorization", b"Bearer \xff\xfe\xfd"),)),
    ("of dots, like a token", (("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."),)),
    ("of SQL", (("Authorization", "Bearer ' or '1'='1"),)),
    ("in another header", (("X-Api-Key", KEY),)),
    ("in a cookie", (("Cookie", f"Authorization={KEY}"),)),
    ("for a proxy", (("Proxy-Authorization", f"Bearer {KEY}"),)),
)
IDEMPOTENCY_KEYS: tuple[tuple[str, str | bytes], ...] = (
    ("empty", ""),
    ("blank", "   "),
    ("of 256 characters", "k" * 256),
    ("of 100,000 characters", "k" * 100_000),
    ("with a tab", "a\tb"),
    ("with a byte that is no letter", b"a\x85b"),
)


def _headers() -> Iterator[Bad]:
    for name, authorization in AUTHORIZATIONS:
        sent = ask("/v2/jobs", auth=[*ANONYMOUS, *authorization])
        yield Bad(name=f"key: {name}", sent=sent, status=401, error=DENIED)
    for method, path in (
        ("GET", "/v2/jobs/aaaaaaaaaa"),
        ("DELETE", "/v2/jobs/aaaaaaaaaa"),
        ("GET", "/v2/jobs/a/transcript"),
    ):
        yield Bad(name=f"key: none, {method} {path}", sent=ask(path, method, auth=ANONYMOUS), status=401, error=DENIED)
    for name in ("jwt", "auth_token", "api_key"):
        sent = ask(f"/v2/jobs?{name}={KEY}", auth=ANONYMOUS)
        yield Bad(name=f"key: in the query as {name}", sent=sent, status=401, error=DENIED)
    length = ("Content-Length", str(len(_WHOLE)))
    anonymous = head("POST", "/v2/jobs", [*ANONYMOUS, ("Content-Type", MULTIPART), length]) + _WHOLE
    yield Bad(name="key: none, and a whole job", sent=anonymous, status=401, error=DENIED)
    for name, key in IDEMPOTENCY_KEYS:
        sent = post(_WHOLE, ("Idempotency-Key", key))
        yield Bad(name=f"idempotency key {name}", sent=sent, status=400, error=BAD, detail="Idempotency-Key")
    yield Bad(
        name="a header of 60,000 characters",
        sent=ask("/v2/nothing", "GET", ("X-A", "a" * 60_000)),
        status=404,
        error=NO_PAGE,
    )
    many = [(f"X-{k}", "a") for k in range(500)]
    yield Bad(name="500 headers", sent=ask("/v2/nothing/here", "GET", *many), status=404, error=NO_PAGE)
    yield Bad(
        name="a request id that forges a line",
        sent=ask("/v2/nowhere", "GET", ("X-Request-Id", '"} {"level": "error"')),
        status=404,
        error=NO_PAGE,
    )


# ── query ──

_TYPE, _BOOL, _TIME = (
    "{} in query must be of type int64",
    "{} in query must be of type bool",
    "{} in query must be of type date-time",
)
QUERIES: tuple[tuple[str, str], ...] = (
    ("limit=x", _TYPE), ("limit=", _TYPE), ("limit=1.5", _TYPE), ("limit=1e1", _TYPE), ("limit=0x1", _TYPE), ("limit=1_0", _TYPE),
    ("limit=%D9%A3", _TYPE), ("limit=%001", _TYPE), ("limit=true", _TYPE), ("limit=9223372036854775808", _TYPE),
    ("limit=" + "9" * 5000, _TYPE), ("limit=1&limit=x", _TYPE), ("limit=--1", _TYPE), ("limit=null", _TYPE),
    ("limit=0", "{} in query should be greater than or equal to 1"),
    ("limit=-1", "{} in query should be greater than or equal to 1"),
    ("limit=-9223372036854775808", "{} in query should be greater than or equal to 1"),
    ("limit=101", "{} in query should be less than or equal to 100"),
    ("limit=9223372036854775807", "{} in query should be less than or equal to 100"),
    ("include_deleted=", _BOOL), ("include_deleted=2", _BOOL), ("include_deleted=maybe", _BOOL), ("include_deleted=null", _BOOL),
    ("include_deleted=true%00", _BOOL),
    ("created_before=", _TIME), ("created_before=yesterday", _TIME), ("created_before=2026", _TIME), ("created_before=1780257581", _TIME),
    ("created_before=2026-01-01", _TIME), ("created_before=2026-01-01T00:00:00", _TIME), ("created_before=2026-13-01T00:00:00Z", _TIME),
    ("created_before=2026-02-30T00:00:00Z", _TIME), ("created_before=2026-01-01T25:00:00Z", _TIME),
    ("created_before=0000-01-01T00:00:00Z", _TIME), ("created_before=2026-01-01T00:00:00.Z", _TIME), ("created_before=%ff", _TIME),
    ("created_before=2026-01-01T00:00:00Z%0a", _TIME), ("created_before=" + "2" * 5000, _TIME), ("created_before=-1-01-01T00:00:00Z", _TIME),
    ("created_after=x", _TIME), ("created_after=2026-01-01T00:00:00+99:99", _TIME),
)  # fmt: skip
FORMATS = ("xml", "json", "JSON-V2", "TXT", "", "srt%00", "srt,txt", "../srt", "odt", "a" * 3000)


def _queries() -> Iterator[Bad]:
    for query, text in QUERIES:
        error = text.format(query.partition("=")[0])
        yield Bad(name=f"query: {query[:60]}", sent=ask(f"/v2/jobs?{query}"), status=422, error=error)
    for wait in ("x", "", "1.5", "9" * 30, "true", "1%20second", "NaN"):
        error = _TYPE.format("wait")
        yield Bad(
            name=f"query: submit with wait={wait}",
            sent=form(_CONFIG, _MEDIA, target=f"/v2/jobs?wait={wait}"),
            status=422,
            error=error,
        )
    for form_of in FORMATS:
        target = f"/v2/jobs/aaaaaaaaaa/transcript?format={form_of}"
        yield Bad(
            name=f"query: format={form_of[:20]}", sent=ask(target), status=404, error=FORMAT, detail="formats are"
        )
        sent = form(_CONFIG, _MEDIA, target=f"/v2/jobs?wait=0&format={form_of}")
        yield Bad(
            name=f"query: submit with format={form_of[:20]}", sent=sent, status=404, error=FORMAT, detail="formats are"
        )


def _all() -> Iterable[Bad]:
    for group in (_configs, _media, _multipart, _framing, _ids, _addresses, _headers, _queries):
        yield from group()


REQUESTS: tuple[Bad, ...] = tuple(_all())
