"""Translators of realtime sessions in processes of their own: real ones with random weights, and one that misbehaves."""

import asyncio
import os
import struct
from pathlib import Path

import pytest

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.inference import messages as m
from sottovoce.inference.pool import Pool, TranslationFailed
from tests import tiny_translator

ODD = EngineKey(engine="tests.odd_translator:ENGINE")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory):
    folder = tiny_translator.build(tmp_path_factory.mktemp("model") / "model", spm=True)
    before = os.environ.get("PYTHONPATH", "")
    root = str(Path(__file__).resolve().parents[3])
    os.environ["PYTHONPATH"] = f"{root}{os.pathsep}{before}" if before else root
    made = Pool(engine_config=EngineConfig(models=folder.parent, translators=(("en-de", folder),)))
    yield made
    made.close()
    os.environ["PYTHONPATH"] = before


def translated(pool: Pool, *texts: str, key: EngineKey = ODD, audio: bytes = b"", lead: int = 0) -> tuple[str, ...]:
    asked = m.Translate(language="en", target="de", texts=texts, lead=lead, length=len(audio) // 2 - 2 * lead)
    return asyncio.run(pool.translate(key, asked, audio))


def test_a_model_translates_every_text_in_one_process(pool: Pool):
    key = EngineKey(engine="ctranslate2", model="en-de")
    asyncio.run(pool.prepare_translator(key))
    (pid,) = pool._translations.pids
    assert len(translated(pool, "hello world.", "the sun", key=key)) == 2
    assert len(translated(pool, "hello", key=key)) == 1
    assert pool._translations.pids == [pid]
    niceness = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[16]
    assert int(niceness) > 0, "recognisers have priority"
    assert pid in pool._others(), "its load counts as that of jobs"


def test_a_translator_that_hears_gets_the_audio_of_its_sentence(pool: Pool):
    samples = struct.pack("<8000h", *([1000] * 1600), *([8000] * 4800), *([1000] * 1600))
    assert translated(pool, "loudness", audio=samples, lead=1600) == ("0.3 s at 0.24",)


def test_a_bug_or_an_impossible_answer_leaves_the_process(pool: Pool):
    assert translated(pool, "fine") == ("FINE",)
    before = pool._translations.pids
    for text, why in (("raise", "ZeroDivisionError: the true cause"), ("runaway", "characters for a sentence")):
        with pytest.raises(TranslationFailed, match=why):
            translated(pool, text)
    assert translated(pool, "fine") == ("FINE",)
    assert pool._translations.pids == before


def test_a_process_that_ends_or_hangs_is_replaced(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TranslationFailed, match="ended"):
        translated(pool, "exit")
    assert translated(pool, "fine") == ("FINE",)
    monkeypatch.setattr(pool._translations, "_timeout", 0.3)
    with pytest.raises(TranslationFailed, match="no answer within"):
        translated(pool, "hang")
    monkeypatch.setattr(pool._translations, "_timeout", 30.0)
    assert translated(pool, "fine") == ("FINE",)


def test_a_caller_that_leaves_takes_no_answer_of_the_next_one(pool: Pool):
    async def run() -> None:
        asked = m.Translate(language="en", target="de", texts=("slow",))
        leaving = asyncio.create_task(pool.translate(ODD, asked))
        await asyncio.sleep(0.1)
        leaving.cancel()
        assert await pool.translate(ODD, m.Translate(language="en", target="de", texts=("next",))) == ("NEXT",)

    asyncio.run(run())


def test_an_idle_process_is_ended(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sottovoce.inference.translation.pool.IDLE", 0.1)
    assert translated(pool, "fine") == ("FINE",)
    child = pool._translations._translators[ODD].child
    assert child is not None

    async def gone() -> None:
        async with asyncio.timeout(20):
            while child.alive:  # noqa: ASYNC110 - it is on another thread
                await asyncio.sleep(0.02)

    asyncio.run(gone())
    assert child.process.pid not in pool._translations.pids


def test_a_translator_that_cannot_be_loaded_is_a_failure(pool: Pool):
    with pytest.raises(TranslationFailed, match="cannot be started"):
        translated(pool, "x", key=EngineKey(engine="ctranslate2", model="en-fr"))
