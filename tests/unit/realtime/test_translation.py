"""Translations beside a session: in order, bounded, and never at its cost."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Self

import pytest

from sottovoce.inference.live_events import SentenceHeard
from sottovoce.realtime import translation
from sottovoce.realtime.conversation import Translated
from sottovoce.realtime.translation import FAILURES, TOGETHER, Translations


def said(text: str, *, final: bool = True, channel: int = 0, audio: bytes = b"") -> SentenceHeard:
    return SentenceHeard(channel=channel, start=0, end=1, text=text, final=final, audio=audio, speaker="S1")


class Scripted:
    """Translates by *how*, and keeps its requests; waits for *gate*, if there is one, before each."""

    def __init__(self, how: Callable[[str], str] = str.upper, gate: asyncio.Semaphore | None = None) -> None:
        self.how = how
        self.gate = gate
        self.asked: list[list[str]] = []
        self.prepared = False
        self.partials = True

    async def prepare(self) -> None:
        self.prepared = True

    async def translate(self, sentences: Sequence[SentenceHeard]) -> Sequence[str]:
        self.asked.append([each.text for each in sentences])
        if self.gate:
            await self.gate.acquire()
        return [self.how(each.text) for each in sentences]


class Beside:
    """Translations with their tasks, and what they told."""

    def __init__(self, **translators: Scripted) -> None:
        self.got: list[Translated] = []
        self.done = self.left_out = 0
        self.translations = Translations("id-1", translators, self.tell, self)  # type: ignore[arg-type]

    def translated(self, done: int, left_out: int) -> None:
        self.done += done
        self.left_out += left_out

    async def tell(self, message: Translated) -> None:
        self.got.append(message)

    async def __aenter__(self) -> Self:
        self.tasks = [asyncio.create_task(each) for each in self.translations.work()]
        await settled()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def texts(self, target: str, *, final: bool = True) -> list[str]:
        told = [each for each in self.got if each.target == target and each.final is final]
        return [sentence.text for each in told for sentence in each.sentences]


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_every_final_sentence_is_translated_into_every_target_in_order():
    async def run() -> None:
        async with Beside(de=Scripted(), fr=Scripted(str.title)) as beside:
            for number in range(30):
                beside.translations.heard(said(f"one {number}"))
            await beside.translations.finish()
            assert beside.texts("de") == [f"ONE {number}" for number in range(30)]
            assert beside.texts("fr") == [f"One {number}" for number in range(30)]
            assert (beside.done, beside.left_out) == (60, 0)
            (sentence,) = beside.got[-1].sentences[-1:]
            assert (sentence.start, sentence.end, sentence.speaker) == (0, 1, "S1")

    asyncio.run(run())


def test_sentences_that_wait_go_together_but_those_with_audio_alone():
    async def run() -> None:
        gate = asyncio.Semaphore(0)
        de = Scripted(gate=gate)
        async with Beside(de=de) as beside:
            beside.translations.heard(said("first"))
            await settled()
            for number in range(TOGETHER + 1):
                beside.translations.heard(said(f"{number}"))
            beside.translations.heard(said("a", audio=b"12"))
            beside.translations.heard(said("b", audio=b"12"))
            for _ in range(9):
                gate.release()
            await beside.translations.finish()
            assert [len(each) for each in de.asked] == [1, TOGETHER, 1, 1, 1]

    asyncio.run(run())


def test_of_partials_only_the_newest_is_translated_and_none_that_is_final_meanwhile():
    async def run() -> None:
        gate = asyncio.Semaphore(0)
        de = Scripted(gate=gate)
        async with Beside(de=de) as beside:
            beside.translations.heard(said("it", final=False))
            await settled()
            for text in ("it is", "it is late"):
                beside.translations.heard(said(text, final=False))
            beside.translations.heard(said("left", final=False, channel=1))
            gate.release()
            await settled()
            assert beside.texts("de", final=False) == ["IT"]
            beside.translations.heard(said("it is late."))  # while its partial is being translated
            for _ in range(9):
                gate.release()
            await beside.translations.finish()
            assert de.asked[:3] == [["it"], ["it is late"], ["it is late."]]
            assert beside.texts("de") == ["IT IS LATE."]
            assert "IT IS LATE" not in beside.texts("de", final=False)

    asyncio.run(run())


def test_a_translator_that_hears_gets_no_partials():
    async def run() -> None:
        en = Scripted()
        en.partials = False
        async with Beside(en=en) as beside:
            beside.translations.heard(said("it", final=False))
            beside.translations.heard(said("it is late.", audio=b"12"))
            await beside.translations.finish()
            assert en.asked == [["it is late."]]

    asyncio.run(run())


def test_the_end_waits_for_the_deadline_only(caplog: pytest.LogCaptureFixture):
    async def run() -> None:
        async with Beside(de=Scripted(gate=asyncio.Semaphore(0)), fr=Scripted()) as beside:
            beside.translations.heard(said("one"))
            beside.translations.heard(said("two"))
            await settled()
            begun = asyncio.get_running_loop().time()
            await beside.translations.finish(0.05)
            assert asyncio.get_running_loop().time() - begun < 3
            assert (beside.texts("de"), beside.texts("fr")) == ([], ["ONE", "TWO"])
            assert (beside.done, beside.left_out) == (2, 2)
            beside.translations.heard(said("too late"))

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    (record,) = [each for each in caplog.records if each.msg == "realtime translations left out"]
    assert {name: record.__dict__[name] for name in ("session", "target", "sentences")} == {
        "session": "id-1", "target": "de", "sentences": 2,
    }  # fmt: skip


def test_a_failing_translator_costs_its_target_alone(caplog: pytest.LogCaptureFixture):
    def fails(_text: str) -> str:
        raise OSError("gone")

    async def run() -> None:
        de = Scripted(fails)
        async with Beside(de=de, fr=Scripted()) as beside:
            for number in range(FAILURES + 4):
                beside.translations.heard(said(f"{number}"))
                await settled()
            assert len(de.asked) == FAILURES, "then it is given up"
            await beside.translations.finish()
            assert beside.texts("fr") == [str(number) for number in range(FAILURES + 4)]
            assert all(task.done() == (number == 0) for number, task in enumerate(beside.tasks))
            assert not any(task.exception() for task in beside.tasks if task.done())

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    failed = [each.__dict__ for each in caplog.records if each.msg == "realtime translation failed"]
    assert [each["given_up"] for each in failed] == [False] * (FAILURES - 1) + [True]
    assert failed[0]["why"] == "OSError: gone"
    (left,) = [each.__dict__ for each in caplog.records if each.msg == "realtime translations left out"]
    assert left["sentences"] == FAILURES + 4


def test_one_failure_costs_its_sentence_alone():
    def picky(text: str) -> str:
        if text == "1":
            raise ValueError
        return "" if text == "2" else text * 2

    async def run() -> None:
        async with Beside(de=Scripted(picky)) as beside:
            for number in range(5):
                beside.translations.heard(said(f"{number}"))
                await settled()
            await beside.translations.finish()
            assert beside.texts("de") == ["00", "33", "44"], "an empty translation is no message"

    asyncio.run(run())


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(translation, "MOST_SENTENCES", 3)
    monkeypatch.setattr(translation, "MOST_BYTES", 10)

    async def run() -> None:
        gate = asyncio.Semaphore(0)
        de = Scripted(gate=gate)
        async with Beside(de=de) as beside:
            beside.translations.heard(said("now"))
            await settled()
            for number in range(6):
                beside.translations.heard(said(f"{number}"))
            for _ in range(9):
                gate.release()
            await settled()
            assert beside.texts("de") == ["NOW", "3", "4", "5"], "the oldest are left out"
            beside.translations.heard(said("huge", audio=b"x" * 11))
            await beside.translations.finish()
            assert beside.texts("de")[4:] == []

    asyncio.run(run())
