"""Asks a language model for JSON: by a JSON schema, else in JSON mode, else in words; with retries, until a deadline.

The answer is checked here, whatever the endpoint promises; a wrong one is asked for again, with what is wrong with it.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sottovoce.intelligence.backends.chat.config import ChatConfig
from sottovoce.outbound.ask import Limits, OutboundRequest
from sottovoce.outbound.client import Outbound
from sottovoce.outbound.faults import OutboundFailed
from sottovoce.outbound.policy import Policy

T = TypeVar("T")
Schema = Mapping[str, Any]

MOST_BYTES = 8 << 20
MOST_TOKENS = 4096
PAUSE = 0.2
"""Seconds before the second attempt; each further one waits twice as long, unless the endpoint says how long."""
_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_NO_SCHEMA = frozenset({400, 415, 422, 501})
"""Statuses of endpoints that do not know `response_format`; the next form of the request is tried."""
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_JSON = re.compile(r"\{.*\}", re.DOTALL)
_OK = 200


class ChatFailed(Exception):
    """The endpoint gave no usable answer. The message has no text of the transcript, and nothing that the endpoint sent."""


class _Again(Exception):
    """Another attempt may succeed, after *wait* seconds; *wrong*: what the model is told of its answer."""

    def __init__(self, why: str, *, wait: float | None = None, wrong: str = "") -> None:
        super().__init__(why)
        self.wait = wait
        self.wrong = wrong


class _OtherForm(Exception):
    """The endpoint does not know this form of `response_format`."""


class ChatClient:
    """Asks the endpoint of *config*; all questions together take at most *deadline* seconds."""

    def __init__(self, config: ChatConfig, deadline: float) -> None:
        self._config = config
        self._end = time.monotonic() + deadline
        self._form = 0
        policy = Policy(allow_private=True, ports=(range(1, 1 << 16),), ca_file=config.ca_file, connections=1)
        self._policy = policy  # the operator names the endpoint, which is usually in the own network
        self._key = config.key_file.read_text(encoding="utf-8").strip() if config.key_file else ""

    def ask(self, system: str, user: str, schema: Schema, read: Callable[[Any], T]) -> T:
        """Return what *read* makes of the answer. *read* raises ValueError for one that makes no sense. Raises `ChatFailed`."""
        wrong, why, attempt = "", "no attempt", 0
        while attempt <= self._config.retries and self._left() > 0:
            again = (
                f"\n\nYour last answer was rejected: {wrong}. Answer only with JSON that matches the schema."
                if wrong
                else ""
            )
            # one message: the templates of some models refuse two of one role in turn
            messages = [{"role": "system", "content": system}, {"role": "user", "content": user + again}]
            try:
                return self._once(messages, schema, read)
            except _OtherForm:
                self._form += 1  # does not count as an attempt
            except _Again as fault:
                why, wrong = str(fault), fault.wrong
                pause = PAUSE * 2**attempt if fault.wait is None else fault.wait
                attempt += 1
                if attempt <= self._config.retries:
                    time.sleep(max(0.0, min(pause, self._left())))
        late = "; the deadline of the stage is over" if self._left() <= 0 else ""
        raise ChatFailed(f"{why}, after {attempt} attempt(s){late}")

    def _left(self) -> float:
        return self._end - time.monotonic()

    def _once(self, messages: list[dict[str, str]], schema: Schema, read: Callable[[Any], T]) -> T:
        body: dict[str, Any] = {"model": self._config.model, "messages": messages, "temperature": 0}
        body["max_tokens"] = MOST_TOKENS
        if form := self._forms(schema)[self._form]:
            body["response_format"] = form
        try:
            status, headers, data = asyncio.run(self._post(json.dumps(body).encode()))
        except OutboundFailed as error:
            if error.worth_retrying:
                raise _Again(f"the endpoint cannot be used: {error.text}") from error
            raise ChatFailed(f"the endpoint cannot be used: {error.text}") from error
        if status in _NO_SCHEMA and self._form < len(self._forms(schema)) - 1:
            raise _OtherForm
        if status in _BUSY:
            raise _Again(f"the endpoint answered {status}", wait=_seconds(headers.get("retry-after")))
        if status != _OK:
            raise ChatFailed(f"the endpoint answered {status}")
        try:
            return read(_checked(_content(data), schema))
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            told = str(error) if type(error) is ValueError else "it is not JSON of the expected form"
            raise _Again("the endpoint's answer makes no sense", wait=0.0, wrong=told[:300]) from error

    def _forms(self, schema: Schema) -> tuple[dict[str, Any] | None, ...]:
        strict = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
        return (strict, {"type": "json_object"}, None)

    async def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        seconds = max(0.05, min(self._config.timeout, self._left()))
        limits = Limits(
            connect=min(10.0, seconds), silence=seconds, total=seconds, progress=0, body_bytes=MOST_BYTES, wait=seconds
        )
        request = OutboundRequest(
            url=self._config.url.rstrip("/") + "/chat/completions",
            method="POST",
            headers=(("Content-Type", "application/json"),),
            auth_headers=(f"Authorization: Bearer {self._key}",) if self._key else (),
            body=body,
            limits=limits,
        )
        async with Outbound(self._policy) as outbound, outbound.open(request) as answer:
            data = b"".join([chunk async for chunk in answer.chunks()])
            return answer.status, answer.headers, data


def _seconds(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:  # a date
        return None
    return found if 0 <= found < float("inf") else None


def _content(data: bytes) -> Any:
    """The JSON that the model wrote, also behind its thoughts or between marks. Raises ValueError."""
    choice = json.loads(data)["choices"][0]
    if choice.get("finish_reason") == "length":
        raise ValueError("it was too long and is cut off")
    text = _THOUGHT.sub("", choice["message"]["content"] or "")
    found = _JSON.search(text)
    return json.loads(found[0] if found else text)


_TYPES: Mapping[str, Any] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
}  # fmt: skip


def _checked(answer: Any, schema: Schema, at: str = "the answer") -> Any:
    """*answer*, if it matches *schema*. Raises ValueError, whose message has no value of the answer."""
    kind = schema["type"]
    if not isinstance(answer, _TYPES[kind]) or isinstance(answer, bool):
        raise ValueError(f"{at} is not of the type {kind}")  # noqa: TRY004 - one error for all bad answers
    if "enum" in schema and answer not in schema["enum"]:
        raise ValueError(f"{at} is not one of {', '.join(map(str, schema['enum']))}")
    if kind == "object":
        for name, part in schema["properties"].items():
            if name not in answer:
                raise ValueError(f"{at} lacks {name}")
            _checked(answer[name], part, f"{at}.{name}")
    if kind == "array":
        for each in answer:
            _checked(each, schema["items"], f"{at}[]")
    return answer
