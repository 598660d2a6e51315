import asyncio
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from sottovoce import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Our log on a stream, for the length of a test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()  # set_up would close what pytest listens with
    noisy = {
        name: logging.getLogger(name).level
        for name in ("alembic", "httpx", "faster_whisper", "uvicorn.error", "libav", "dbos")
    }
    made, handler = io.StringIO(), logs._lines
    logs.set_up("INFO", made)
    yield made
    logs._lines = handler
    root.handlers[:] = before
    root.setLevel(level)
    for name, was in noisy.items():
        logging.getLogger(name).setLevel(was)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.splitlines() == text[:-1].split("\n")  # nobody's idea of a line end is inside one
    return [json.loads(line, parse_constant=lambda _: pytest.fail("not JSON")) for line in text.splitlines()]


def one(stream: io.StringIO) -> dict[str, Any]:
    (line,) = lines(stream)
    return line


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("GET /v2/jobs?auth_token=s3cr3t&x=1", "GET /v2/jobs?auth_token=***&x=1"),
        ("wss://h/v2?jwt=s3cr3t", "wss://h/v2?jwt=***"),
        ("/x?a=1&API_KEY=s3cr3t end", "/x?a=1&API_KEY=*** end"),
        ("/x?token=s3cr3t'", "/x?token=***'"),
        ("Authorization: Bearer s3cr3t.abc-_~+/=", "Authorization: Bearer ***"),
        ("authorization: bearer   s3cr3t", "authorization: bearer   ***"),
        ("postgresql://user:s3cr3t@host/db", "postgresql://***@host/db"),
        ("see https://u:s3cr3t@h/a and ftp://v:s3cr3t@h", "see https://***@h/a and ftp://***@h"),
        ("mail to a@b.example", "mail to a@b.example"),
        ("Authorization: Basic czNjcjN0", "Authorization: Basic ***"),
        ("X-API-Key: s3cr3t", "X-API-Key: ***"),
        ("Cookie: session=s3cr3t; other=s3cr3t", "Cookie: ***"),
        ("Set-Cookie: session=s3cr3t; HttpOnly", "Set-Cookie: ***"),
        (
            "[(b'authorization', b'Basic s3cr3t'), (b'x-api-key', b's3cr3t')]",
            "[(b'authorization', b'Basic ***'), (b'x-api-key', b'***')]",
        ),
        ("[('cookie', 'a=s3cr3t; b=s3cr3t')]", "[('cookie', '***')]"),
        ("the token, which is none", "the token, which is none"),
        ("auth_token=s3cr3t&jwt=s3cr3t", "auth_token=***&jwt=***"),
        ('{"auth_token": "s3cr3t", "password":"s3cr3t"}', '{"auth_token": "***", "password":"***"}'),
        ("https://h/f?X-Amz-Signature=s3cr3t&a=1", "https://h/f?X-Amz-Signature=***&a=1"),
        ("/v2/eyJhbGciOiJub25lIn0.s3cr3t.s3cr3t/jobs", "/v2/***/jobs"),
        ("design=1, config: x, at 12:30:01.5", "design=1, config: x, at 12:30:01.5"),
        ("the bearer", "the bearer"),
    ],
)
def test_secrets_are_redacted(stream: io.StringIO, said: str, written: str) -> None:
    log = logging.getLogger("x")
    log.info("%s", said, extra={"flat": said, "deep": {"in": [said, (said,)], said: 1}, "object": Exception(said)})
    line = one(stream)
    assert line["event"] == line["flat"] == line["object"] == written
    assert line["deep"]["in"] == [written, [written]]
    assert "s3cr3t" not in stream.getvalue()


@pytest.mark.parametrize("name", ["Authorization", "auth_headers", "cookie", "key_value", "password", "jwt"])
def test_members_that_hold_secrets_are_starred_whatever_is_in_them(stream: io.StringIO, name: str) -> None:
    logging.getLogger("x").info("m", extra={"deep": [{name: ["s3cr3t"]}, {name: {"a": "s3cr3t"}}]})
    assert one(stream)["deep"] == [{name: "***"}, {name: "***"}]
    logging.getLogger("x").info("m", extra={"pairs": [(name, "s3cr3t")]})
    assert lines(stream)[1]["pairs"] == [[name, "***"]]


def test_secrets_in_exceptions_and_context_are_redacted_too(stream: io.StringIO) -> None:
    with logs.about(request="/x?jwt=s3cr3t"):
        try:
            int("https://u:s3cr3t@h")
        except ValueError:
            logging.getLogger("x").exception("it broke")
    line = one(stream)
    assert line["level"] == "error"
    assert "ValueError" in line["error"]
    assert "https://***@h" in line["error"]
    assert line["request"] == "/x?jwt=***"
    assert "s3cr3t" not in stream.getvalue()


@pytest.mark.parametrize("text", ["two\nlines", "a\r\nb", "\u2028\u2029\x85\x0b\x0c\x1c", "ü 字 🎙", "\0\x1b[31m"])
def test_one_event_is_one_line_of_json(stream: io.StringIO, text: str) -> None:
    logging.getLogger("a.b").warning(text, extra={"why": text})
    line = one(stream)
    assert (line["event"], line["why"], line["level"], line["logger"]) == (text, text, "warning", "a.b")


def test_a_lone_surrogate_can_be_written() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "utf-8")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    handler.handle(logging.makeLogRecord({"name": "x", "msg": "a \ud800 name", "levelname": "INFO"}))
    assert json.loads(raw.getvalue())["event"] == "a \ud800 name"
    stream.close()


def test_numbers_that_json_does_not_know_and_objects(stream: io.StringIO) -> None:
    logging.getLogger("x").info("m", extra={"n": float("nan"), "i": [float("inf")], "o": object(), "b": b"x", "f": 1.5})
    line = one(stream)
    assert (line["n"], line["i"], line["f"]) == ("nan", ["inf"], 1.5)


def test_the_instant_is_utc_to_the_millisecond(stream: io.StringIO) -> None:
    record = logging.makeLogRecord({"name": "x", "msg": "m", "created": 1_700_000_000.25, "levelname": "INFO"})
    assert json.loads(logs.JsonLines().format(record))["at"] == "2023-11-14T22:13:20.250Z"


def test_context_is_added_nested_and_taken_away(stream: io.StringIO) -> None:
    log = logging.getLogger("x")
    with logs.about(job="j1"):
        with logs.about(attempt="2"):
            log.info("inner")
        log.info("outer")
    log.info("after")
    inner, outer, after = lines(stream)
    assert (inner["job"], inner["attempt"]) == ("j1", "2")
    assert outer["job"] == "j1"
    assert "attempt" not in outer
    assert "job" not in after


def test_context_belongs_to_its_task(stream: io.StringIO) -> None:
    async def one_job(name: str) -> None:
        with logs.about(job=name):
            await asyncio.sleep(0)
            logging.getLogger("x").info(name)
            await asyncio.to_thread(logging.getLogger("x").info, name)

    async def go() -> None:
        await asyncio.gather(*(one_job(f"j{number}") for number in range(5)))

    asyncio.run(go())
    assert all(line["job"] == line["event"] for line in lines(stream))


def test_the_level_holds_and_noisy_libraries_are_quiet(stream: io.StringIO) -> None:
    logging.getLogger("x").debug("no")
    logging.getLogger("alembic").info("no")
    logging.getLogger("dbos").info("no")
    logging.getLogger("dbos").warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_setting_up_twice_writes_once(stream: io.StringIO) -> None:
    logs.set_up("INFO", stream)
    logging.getLogger("x").info("m")
    assert one(stream)["event"] == "m"


def test_the_line_of_a_request_is_that_of_any_event(stream: io.StringIO) -> None:
    logger = logging.getLogger("sottovoce.of_requests")
    fields = {"path": "/v2/jobs?jwt=s3cr3t", "status": 200, "ms": float("nan"), "token": "s3cr3t", "of": {"jwt": ["x"]}}
    with logs.about(request="r1", note="Bearer s3cr3t"):
        logger.info("request of https://u:s3cr3t@h", extra=fields)
        logs.log_request(logger, logging.INFO, "request of https://u:s3cr3t@h", fields)
        logs.log_request(logger, logging.DEBUG, "not at this level", fields)
    assert "s3cr3t" not in stream.getvalue()
    first, second = lines(stream)
    assert {**first, "at": ""} == {**second, "at": ""}


def test_lines_of_requests_are_written_once_a_turn_of_the_event_loop_and_before_later_records(
    stream: io.StringIO,
) -> None:
    logger = logging.getLogger("sottovoce.of_requests")

    async def serve() -> None:
        for number in range(3):
            logs.log_request(logger, logging.INFO, "request", {"number": number})
        assert stream.getvalue() == ""
        await asyncio.sleep(0)
        assert len(lines(stream)) == 3
        logs.log_request(logger, logging.INFO, "request", {"number": 3})
        logger.warning("later", extra={"number": 4})
        assert len(lines(stream)) == 5
        for number in range(5, 5 + logs._MOST_WAITING):  # more do not wait
            logs.log_request(logger, logging.INFO, "request", {"number": number})
        assert len(lines(stream)) == 5 + logs._MOST_WAITING
        logs.log_request(logger, logging.INFO, "request", {"number": 5 + logs._MOST_WAITING})

    with asyncio.Runner() as runner:
        runner.get_loop().run_until_complete(serve())
    logging.getLogger().handlers[0].flush()  # as the interpreter's end does
    assert [line["number"] for line in lines(stream)] == list(range(6 + logs._MOST_WAITING))


def test_a_stream_that_takes_no_line_fails_no_request(stream: io.StringIO) -> None:
    stream.close()
    logs.log_request(logging.getLogger("sottovoce.of_requests"), logging.INFO, "request", {"status": 200})


def test_without_a_log_of_ours_the_line_of_a_request_is_a_record(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    monkeypatch.setattr(logs, "_lines", None)
    with caplog.at_level(logging.INFO):
        logs.log_request(logging.getLogger("sottovoce.of_requests"), logging.INFO, "request", {"status": 200})
    (record,) = caplog.records
    assert (record.getMessage(), record.__dict__["status"]) == ("request", 200)


def test_what_is_in_an_object_is_redacted(stream: io.StringIO) -> None:
    @dataclass
    class Secretive:
        url: str

    values = {"of": Secretive(url="https://h/?jwt=s3cr3t"), "at": [datetime(2026, 1, 2, tzinfo=UTC)], "big": 1 << 70}
    logging.getLogger("x").info("told", extra=values)
    assert "s3cr3t" not in stream.getvalue()
    told = one(stream)
    assert (told["at"], told["big"]) == (["2026-01-02 00:00:00+00:00"], 1 << 70)
