"""The chat backend against a local endpoint, which answers well and in many wrong ways."""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig, parsed_stages
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import AnySkill
from sottovoce.inference.stages.process import StageProcess
from sottovoce.intelligence import chapters, sentiment, summary, topics, translation
from sottovoce.intelligence.backends.chat.client import ChatClient, ChatFailed
from sottovoce.intelligence.backends.chat.config import ChatConfig
from sottovoce.intelligence.backends.chat.stages import ChatStage
from sottovoce.intelligence.protocols import UnsupportedLanguage
from sottovoce.intelligence.stages import StageName
from sottovoce.pipeline.results import ResultContext
from sottovoce.request import Summarization, TranscriptionRequest
from tests.unit.intelligence.talk import scene, transcript, turns

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "enum": [1, 2]}}}
TALK = turns(("S1", "I love this house. The roof leaks."), ("S2", "We repair it. It is late."))


class Endpoint:
    """A local endpoint. *mode* says what is wrong with it; otherwise it answers what *answer* makes of the request."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.mode = "ok"
        self.answer: Any = lambda _: {"n": 1}
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.asked.append(body)
                endpoint.keys.append(self.headers["Authorization"])
                endpoint.reply(self, body, len(endpoint.asked))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def reply(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], count: int) -> None:  # noqa: PLR0911 - one for each fault
        good = json.dumps(self.answer(body))
        form = (body.get("response_format") or {}).get("type")
        match self.mode:
            case "no schema" if form == "json_schema":
                return send(handler, 400, {"error": {}})
            case "words only" if form:
                return send(handler, 400, {"error": {}})
            case "no schema" | "words only":
                return said(handler, f"Here you are:\n```json\n{good}\n```")
            case "busy" if count <= 2:
                return send(handler, 429, {"error": {}}, {"Retry-After": "0.05"})
            case "bad json" if count == 1:
                return said(handler, 'Sure! {"n": ')
            case "bad json":
                return said(handler, f"<think>{{hm}}</think>{good}")
            case "bad value":
                return said(handler, '{"n": 7}')
            case "slow":
                time.sleep(1.0)
            case "unauthorized":
                return send(handler, 401, {"error": {}})
            case "cut off":
                return said(handler, '{"n": 1', "length")
            case "dropped":
                handler.close_connection = True
                handler.connection.close()
                return None
            case "redirect":
                return send(handler, 307, {}, {"Location": "http://127.0.0.1:1/"})
        return said(handler, good)


def said(handler: BaseHTTPRequestHandler, text: str, finish: str = "stop") -> None:
    send(handler, 200, {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}]})


def send(handler: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    data = json.dumps(body).encode()
    try:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
    except OSError:
        handler.close_connection = True  # the client no longer waits


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    yield found
    found.server.shutdown()
    found.server.server_close()


def client(endpoint: Endpoint, **settings: Any) -> ChatClient:
    deadline = settings.pop("deadline", 10.0)
    return ChatClient(ChatConfig(url=endpoint.url, model="m", **{"timeout": 5.0, **settings}), deadline)


def ask(it: ChatClient) -> Any:
    return it.ask("You count.", "one", SCHEMA, lambda answer: answer["n"])


@pytest.mark.parametrize(("mode", "requests"), [
    ("ok", 1), ("no schema", 2), ("words only", 3), ("busy", 3), ("bad json", 2),
])  # fmt: skip
def test_an_endpoint_with_a_remedy_gives_the_answer(endpoint, mode, requests):
    endpoint.mode = mode
    assert ask(client(endpoint)) == 1
    assert len(endpoint.asked) == requests


@pytest.mark.parametrize(("mode", "requests", "why"), [
    ("bad value", 3, "makes no sense, after 3 attempt"),
    ("cut off", 3, "makes no sense"),
    ("unauthorized", 1, "answered 401"),
    ("dropped", 3, "cannot be used"),
    ("redirect", 1, "answered 307"),
])  # fmt: skip
def test_an_endpoint_without_a_remedy_fails_after_the_retries(endpoint, mode, requests, why):
    endpoint.mode = mode
    with pytest.raises(ChatFailed, match=why):
        ask(client(endpoint, retries=2))
    assert len(endpoint.asked) == requests


def test_a_slow_endpoint_is_given_up_at_the_timeout_of_a_request_and_at_the_deadline(endpoint):
    endpoint.mode = "slow"
    begun = time.monotonic()
    with pytest.raises(ChatFailed, match="deadline of the stage"):
        ask(client(endpoint, timeout=0.2, deadline=0.6, retries=9))
    assert time.monotonic() - begun < 3
    assert 1 <= len(endpoint.asked) <= 4


def test_the_model_is_told_what_was_wrong_and_the_key_is_sent(endpoint, tmp_path):
    (tmp_path / "key").write_text("secret\n")
    endpoint.mode = "bad value"
    with pytest.raises(ChatFailed) as caught:
        ask(client(endpoint, retries=1, key_file=tmp_path / "key"))
    assert "secret" not in str(caught.value)
    assert endpoint.keys == ["Bearer secret"] * 2
    assert "n is not one of 1, 2" in endpoint.asked[1]["messages"][1]["content"]
    assert [each["role"] for each in endpoint.asked[1]["messages"]] == ["system", "user"]


# ── stages ──


def numbers(body: dict[str, Any]) -> list[int]:
    """The numbers of the sentences in a request."""
    return [int(each) for each in re.findall(r"^\[(\d+)\]", body["messages"][1]["content"], re.MULTILINE)]


def rows(body: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"rows": [{"id": number, **members} for number in numbers(body)]}


def test_translation_of_every_sentence_and_one_that_is_missing_is_asked_for_alone(endpoint):
    def answer(body):
        wanted = numbers(body)
        return {"rows": [{"id": n, "text": f"Satz {n}"} for n in wanted if n != 2 or wanted == [2]]}

    endpoint.answer = answer
    asked = replace(scene(TALK), part="de")
    found = translation.STAGE.run(asked, ChatStage(client(endpoint)))
    assert [row["content"] for row in found] == ["Satz 0", "Satz 1", "Satz 2", "Satz 3"]
    assert [numbers(body) for body in endpoint.asked] == [[0, 1, 2, 3], [2]]
    assert "from English to German" in endpoint.asked[0]["messages"][0]["content"]


@pytest.mark.parametrize("wrong", [
    {"rows": [{"id": 9, "text": "x"}]}, {"rows": [{"id": 0, "text": "x"}] * 2}, {"rows": []}, {"rows": [{"id": True, "text": "x"}]},
])  # fmt: skip
def test_a_sentence_that_was_not_asked_for_is_an_error(endpoint, wrong):
    endpoint.answer = lambda _: wrong
    with pytest.raises(ChatFailed, match="makes no sense"):
        ChatStage(client(endpoint, retries=0)).translate(scene(TALK), "de")


def test_sentiment_and_topics_are_labels_of_the_contract(endpoint):
    stage = ChatStage(client(endpoint, retries=0))
    endpoint.answer = lambda body: rows(body, sentiment="negative", confidence=0.7)
    found = sentiment.STAGE.run(scene(TALK), stage)
    assert {each["sentiment"] for each in found["segments"]} == {"negative"}
    endpoint.answer = lambda body: rows(body, topics=[1, 1])
    found = topics.STAGE.run(scene(TALK, topics=("cars", "houses")), stage)
    assert found["summary"]["overall"] == {"cars": 0, "houses": 1}
    assert "0: cars; 1: houses" in endpoint.asked[-1]["messages"][0]["content"]
    for wrong in ({"sentiment": "happy", "confidence": 0.5}, {"sentiment": "neutral", "confidence": 3}):
        endpoint.answer = lambda body, wrong=wrong: rows(body, **wrong)
        with pytest.raises(ChatFailed):
            stage.judge(["x"], lambda: None)


def test_the_schema_bounds_every_list_and_names_the_numbers(endpoint):
    """A model that writes by a grammar (llama.cpp) ends no list by itself, and numbers rows from 1 on (seen with SmolLM2 135M)."""

    def schema():
        return endpoint.asked[-1]["response_format"]["json_schema"]["schema"]["properties"]

    def bounds(found):
        return found["minItems"], found["maxItems"]

    stage = ChatStage(client(endpoint, retries=0))
    endpoint.answer = lambda body: rows(body, topics=[])
    topics.STAGE.run(scene(TALK, topics=("cars", "houses")), stage)
    row = schema()["rows"]["items"]["properties"]
    asked = numbers(endpoint.asked[-1])
    assert bounds(schema()["rows"]) == (len(asked), len(asked))
    assert row["id"]["enum"] == asked
    assert bounds(row["topics"]) == (0, 2)
    endpoint.answer = lambda _: {"sentences": ["They talk."]}
    summary.STAGE.run(scene(TALK, summarization=Summarization()), stage)
    assert bounds(schema()["sentences"]) == (1, 3)
    endpoint.answer = lambda body: {"chapters": [{"first": numbers(body)[0], "title": "T", "summary": "S"}]}
    chapters.STAGE.run(scene(TALK), stage)
    assert bounds(schema()["chapters"]) == (1, 4)
    assert schema()["chapters"]["items"]["properties"]["first"]["enum"] == [0, 1, 2, 3]


def test_a_long_transcript_is_summarised_and_divided_in_pieces(endpoint):
    long = transcript(turns(*(("S1", f"Sentence {n} {'word ' * 60}end.") for n in range(80))).items)
    endpoint.answer = lambda _: {"sentences": ["They talk."]}
    asked = scene(long, summarization=Summarization())
    stage = ChatStage(client(endpoint, retries=0))
    assert summary.STAGE.run(asked, stage)["content"] == "- They talk."
    assert len(endpoint.asked) > 2
    assert all(len(body["messages"][1]["content"]) < 14_000 for body in endpoint.asked)
    endpoint.answer = lambda body: {"chapters": [{"first": numbers(body)[0], "title": "T", "summary": "S"}]}
    found = chapters.STAGE.run(scene(long), stage)
    assert len(found) > 1
    assert found[0]["start_time"] == 0
    endpoint.answer = lambda _: {"chapters": [{"first": 1, "title": "T", "summary": "S"}]}
    with pytest.raises(ChatFailed):
        chapters.STAGE.run(scene(TALK), stage)


def test_the_operators_prompt_replaces_ours(endpoint, tmp_path):
    (tmp_path / "summary.txt").write_text("Be rude, in {language}.")
    endpoint.answer = lambda _: {"sentences": ["Oh."]}
    ChatStage(client(endpoint), tmp_path).summarize(scene(TALK).sentences, summary.Wish(most=3), lambda: None)
    assert endpoint.asked[0]["messages"][0]["content"].startswith("Be rude, in English.\n")


# ── settings ──


def config(endpoint: Endpoint, *stages: str) -> EngineConfig:
    return EngineConfig(stages=parsed_stages(stages), chat=ChatConfig(url=endpoint.url, model="m"), stage_timeout=20.0)


def test_chat_runs_only_the_stages_and_languages_that_the_operator_gives_to_it(endpoint):
    offers = registry.offered(config(endpoint, "summary=chat", "summary.de=builtin", "sentiment.fr=chat"))

    def engine(skill: StageName, language: str, target: str = "") -> str | None:
        choice = registry.choose_stage(skill, language, offers, target)
        return choice.engine if choice else None

    assert engine(StageName.SUMMARY, "en") == engine(StageName.SENTIMENT, "fr") == "chat"
    assert engine(StageName.SUMMARY, "de") == engine(StageName.SENTIMENT, "en") == "analysis"
    assert engine(StageName.TRANSLATION, "en", "de") is None
    assert "chat" not in {entry.engine for entry in registry.offered(config(endpoint))}
    with pytest.raises(ValueError, match="hears nothing"):
        parsed_stages(["audio_events=chat"])


def test_a_language_that_was_identified_late_gets_the_backend_of_its_setting(endpoint):
    endpoint.answer = lambda _: {"sentences": ["Kurz."]}
    keys: dict[AnySkill, EngineKey] = {StageName.SUMMARY: EngineKey(engine="analysis", model="extractive")}
    runner = StageProcess(keys, config(endpoint, "summary.de=chat", "summary.fr=off"))
    asked = TranscriptionRequest(language="auto", summarization=Summarization(), translation_targets=("de",))

    def run(language: str, stage: Any = summary.STAGE, part: str = "") -> Any:
        talk = replace(TALK, language=language)
        context = ResultContext(path=__file__, request=asked, transcript=talk, alive=lambda: None, part=part)  # type: ignore[arg-type]
        return runner.run(stage, context)

    try:
        assert run("de") == {"content": "- Kurz."}
        assert "love" in run("en")["content"]
        assert len(endpoint.asked) == 1
        with pytest.raises(UnsupportedLanguage) as caught:
            run("fr")
        assert "SOTTOVOCE_STAGES" in caught.value.why
        with pytest.raises(UnsupportedLanguage) as caught:
            run("nn", translation.STAGE, "de")
        assert "SOTTOVOCE_TRANSLATION_MODELS" in caught.value.why
    finally:
        runner.close()
