"""Which model is taken for which language and operating point, and why."""

from dataclasses import replace

import pytest

from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig, visible_devices
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.errors import EngineUnavailable
from sottovoce.intelligence.stages import StageName
from sottovoce.request import OperatingPoint

STANDARD, ENHANCED = OperatingPoint.STANDARD, OperatingPoint.ENHANCED


def model(name: str, grade: int, suits: OperatingPoint | None, *languages: str, **more: object) -> Capabilities:
    return Capabilities(
        engine="whisper", model=name, languages=frozenset(languages or {"en", "de"}), grade=grade, suits=suits,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


FALLBACK = Capabilities(engine="pocketsphinx", model="en-us", languages=frozenset({"en"}))
TINY = model("tiny", 10, STANDARD, identifies_language=True)
SMALL = model("small", 30, STANDARD, identifies_language=True)
SMALL_EN = model("small.en", 31, STANDARD, "en")
TURBO = model("turbo", 60, STANDARD)
MEDIUM = model("medium", 50, ENHANCED)
LARGE = model("large", 70, ENHANCED)


def chosen(language: str, point: OperatingPoint, *offers: Capabilities) -> str:
    return registry.choose(language, point, offers).model


@pytest.mark.parametrize(
    ("offers", "standard", "enhanced"),
    [
        ((FALLBACK,), "en-us", "en-us"),
        ((FALLBACK, TINY), "tiny", "tiny"),
        ((TINY, FALLBACK, SMALL), "small", "small"),
        ((LARGE, FALLBACK), "large", "large"),
        ((LARGE, MEDIUM, FALLBACK), "medium", "large"),  # neither suits `standard`: the smaller is the cheaper
        ((TINY, MEDIUM, LARGE, SMALL), "small", "large"),
        ((SMALL, SMALL_EN), "small.en", "small.en"),
        ((MEDIUM, TURBO), "turbo", "turbo"),  # cheaper and better: `enhanced` asks for accuracy alone
    ],
)
@pytest.mark.parametrize("turn", [1, -1])
def test_the_best_of_the_points_cost_is_taken(offers, standard, enhanced, turn):
    assert (chosen("en", STANDARD, *offers[::turn]), chosen("en", ENHANCED, *offers[::turn])) == (standard, enhanced)


def test_what_the_operator_set_is_taken_where_it_knows_the_language():
    pinned = replace(SMALL_EN, pinned=frozenset({ENHANCED}))
    assert chosen("en", ENHANCED, LARGE, pinned) == "small.en"
    assert chosen("en", STANDARD, LARGE, TINY, pinned) == "small.en"
    assert chosen("de", ENHANCED, LARGE, pinned) == "large"
    assert "the model set for enhanced" in registry.choose("en", ENHANCED, (LARGE, pinned)).why


def test_an_open_language_needs_an_engine_that_identifies_it():
    assert chosen("auto", STANDARD, FALLBACK, TINY, LARGE) == "tiny"
    with pytest.raises(EngineUnavailable, match="models pull"):
        chosen("auto", STANDARD, FALLBACK, LARGE)


def test_a_refusal_says_what_is_there_and_what_to_do():
    with pytest.raises(EngineUnavailable) as refused:
        chosen("fr", STANDARD, FALLBACK)
    assert "language 'fr' is not available on this server (available: en)" in refused.value.why
    assert "sottovoce models pull whisper-base" in refused.value.why
    with pytest.raises(EngineUnavailable) as refused:
        chosen("tlh", STANDARD, FALLBACK)
    assert "models pull" not in refused.value.why


def test_a_model_that_is_set_but_not_there_is_said_before_any_job_waits_for_it(tmp_path):
    engine_config = EngineConfig(models=tmp_path, pinned={ENHANCED: "whisper-large-v3"})
    with pytest.raises(EngineUnavailable, match="sottovoce models pull whisper-large-v3"):
        registry.offered(engine_config)


def test_a_model_that_is_set_and_was_copied_half_is_told_with_the_reason(tmp_path):
    (tmp_path / "whisper-base").mkdir()
    (tmp_path / "whisper-base" / "model.bin").write_bytes(b"half")
    with pytest.raises(EngineUnavailable, match=r"whisper-base, cannot be used, it lacks config\.json"):
        registry.offered(EngineConfig(models=tmp_path, pinned={ENHANCED: "whisper-base"}))


def test_an_empty_shelf_leaves_the_embedded_engine(tmp_path):
    """And a diarizer, which needs no model. Another engine that is set leaves nobody to transcribe."""
    found = registry.offered(EngineConfig(models=tmp_path))
    assert [(entry.engine, entry.skills) for entry in found] == [
        ("pocketsphinx", {Skill.TRANSCRIPTION, Skill.ALIGNMENT, Skill.LIVE}),
        ("builtin", {Skill.DIARIZATION, Skill.LIVE_DIARIZATION}),
        ("analysis", {StageName.SUMMARY}),
        ("analysis", {StageName.AUDIO_EVENTS}),
        ("analysis", {StageName.SENTIMENT}),
    ]
    found = registry.offered(EngineConfig(models=tmp_path), "whisper")
    assert [(entry.engine, entry.skills) for entry in found] == [
        ("pocketsphinx", {Skill.ALIGNMENT}),
        ("builtin", {Skill.DIARIZATION, Skill.LIVE_DIARIZATION}),
        ("analysis", {StageName.SUMMARY}),
        ("analysis", {StageName.AUDIO_EVENTS}),
        ("analysis", {StageName.SENTIMENT}),
    ]


def test_the_cpu_is_always_there_and_a_gpu_that_is_not_is_said_plainly(monkeypatch):
    monkeypatch.setattr("sottovoce.engines.config._gpus", lambda: 0)
    assert visible_devices("auto") == visible_devices("cpu") == ("cpu",)
    for wanted in ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match="0 GPU"):
            visible_devices(wanted)


def test_gpus_are_taken_all_or_by_number(monkeypatch):
    monkeypatch.setattr("sottovoce.engines.config._gpus", lambda: 3)
    assert visible_devices("auto") == visible_devices("cuda") == ("cuda:0", "cuda:1", "cuda:2")
    assert visible_devices("cuda:2,0,2") == ("cuda:2", "cuda:0")
    with pytest.raises(ValueError, match="3 GPU"):
        visible_devices("cuda:3")
    assert EngineConfig(devices=visible_devices("cuda:1")).kind_of_device == "cuda"


# ── translation of speech ──

BOTH = frozenset({Skill.TRANSCRIPTION, Skill.SPEECH_TRANSLATION})


def test_the_best_translator_is_taken():
    tiny, large = replace(TINY, skills=BOTH), replace(LARGE, skills=BOTH)
    assert registry.choose_translator("de", ENHANCED, (TURBO, tiny, large)).model == "large"
    assert registry.choose_translator("auto", STANDARD, (TURBO, tiny)).model == "tiny"


def test_without_a_translator_the_command_is_told():
    with pytest.raises(EngineUnavailable, match="sottovoce models pull whisper-base") as caught:
        registry.choose_translator("de", ENHANCED, (TURBO, FALLBACK))
    assert caught.value.at == "model"


def test_another_engine_than_the_configured_one_does_not_translate():
    assert registry._allowed(replace(TINY, skills=BOTH), "pocketsphinx") == ()
