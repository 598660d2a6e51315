"""What a session gets beside recognition, by what this server has (contract `realtime.md` §4.4, §4.5)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from sottovoce.engines.protocols import Capabilities
from sottovoce.inference import messages as m
from sottovoce.inference.live_events import SentenceHeard
from sottovoce.intelligence.stages import StageName
from sottovoce.request import AudioFormat, AudioType, LiveRequest, LiveTranslation
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.web.api.translators import planner

TEXT = Capabilities(
    engine="ctranslate2", model="de-fr", languages=frozenset({"de"}), targets=frozenset({"fr"}),
    skills=frozenset({StageName.TRANSLATION}), grade=60,
)  # fmt: skip
SPOKEN = replace(TEXT, engine="whisper", model="base", targets=frozenset({"en"}), hears=True)
MUSIC = Capabilities(
    engine="analysis", model="spectrum", languages=frozenset(), skills=frozenset({StageName.AUDIO_EVENTS}),
    event_types=frozenset({"music", "laughter"}),
)  # fmt: skip
REQUEST = LiveRequest(language="de", audio=AudioFormat(type=AudioType.FILE))


class Pool:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def prepare_translator(self, key: Any) -> None:
        self.asked.append((key.engine,))

    async def translate(self, key: Any, asked: m.Translate, audio: bytes = b"") -> tuple[str, ...]:
        self.asked.append((key.engine, asked.texts, asked.target, asked.lead, asked.length, audio))
        return asked.texts


def planned(request: LiveRequest, *offers: Capabilities, pool: Any = None) -> Any:
    return planner(CapabilityTable(offers), pool)(request)


def test_a_plain_session_has_nothing_beside_it() -> None:
    found = planned(REQUEST, TEXT, MUSIC)
    assert (found.request, found.warnings, found.translators) == (REQUEST, (), {})


@pytest.mark.parametrize(
    ("targets", "served", "heard", "warned"),
    [
        (("fr",), ("fr",), False, []),
        (("fr", "en"), ("fr", "en"), True, []),
        (("de",), ("de",), False, []),
        (("xx", "fr"), ("fr",), False, ["unsupported_translation_pair"]),
        (("xx",), None, False, ["unsupported_translation_pair", "empty_translation_target_list"]),
        ((), None, False, ["empty_translation_target_list"]),
    ],
)
def test_targets(targets: tuple[str, ...], served: tuple[str, ...] | None, heard: bool, warned: list[str]) -> None:
    found = planned(replace(REQUEST, translation=LiveTranslation(targets=targets, partials=True)), TEXT, SPOKEN)
    assert [each.type for each in found.warnings] == warned
    assert tuple(found.translators) == (served or ())
    wanted = None if served is None else LiveTranslation(targets=served, partials=True, heard=heard)
    assert found.request.translation == wanted


def test_only_a_translator_that_hears_gets_audio() -> None:
    pool = Pool()
    request = replace(REQUEST, translation=LiveTranslation(targets=("fr", "en", "de")))
    found = planned(request, TEXT, SPOKEN, pool=pool)
    one = SentenceHeard(channel=0, start=100, end=300, text="eins", audio=b"1234", lead=50)
    two = replace(one, text="zwei", audio=b"5678")

    async def run() -> None:
        for target, text in (("fr", True), ("en", False), ("de", True)):
            translator = found.translators[target]
            assert translator.partials is text
            await translator.prepare()
            assert list(await translator.translate([one, two])) == ["eins", "zwei"]

    asyncio.run(run())
    assert pool.asked == [
        ("ctranslate2",),
        ("ctranslate2", ("eins", "zwei"), "fr", 0, 0, b""),
        ("whisper",),
        ("whisper", ("eins",), "en", 50, 200, b"1234"),
        ("whisper", ("zwei",), "en", 50, 200, b"5678"),
    ]


@pytest.mark.parametrize(
    ("asked", "offers", "served", "why"),
    [
        ((), [MUSIC], ("music",), "applause and laughter cannot be detected in realtime sessions (detected: music)"),
        (("music",), [MUSIC], ("music",), None),
        (("laughter",), [MUSIC], None, "laughter cannot be detected"),
        (("music",), [TEXT], None, "music cannot be detected in realtime sessions (detected: none)"),
    ],
)
def test_audio_events(asked: tuple[str, ...], offers: list[Capabilities], served: Any, why: str | None) -> None:
    found = planned(replace(REQUEST, audio_events=asked), *offers)
    assert found.request.audio_events == served
    assert [each.type for each in found.warnings] == (["validation_warning"] if why else [])
    assert why is None or why in found.warnings[0].reason
