"""Refusals, `doctor` and `models list` say the same about a language that no model here knows."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sottovoce.cli import main
from sottovoce.engines import registry, remedies
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.models.catalogue import CATALOGUE
from sottovoce.engines.models.store import ModelStore
from sottovoce.errors import EngineUnavailable
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import PACKS
from tests.tiny_whisper import build
from tests.unknown_files import empty_the_table

UNKNOWN = {"eo", "ga", "ia", "ug"}
STANDARD, ENHANCED = OperatingPoint.STANDARD, OperatingPoint.ENHANCED


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty_the_table(monkeypatch)
    monkeypatch.setenv("SOTTOVOCE_PORT", "0")
    monkeypatch.setenv("SOTTOVOCE_RESERVE_BYTES", "0")
    monkeypatch.setenv("SOTTOVOCE_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("language", "model"),
    [
        ("en", "whisper-base"),
        ("de", "whisper-base"),
        ("cmn", "whisper-base"),
        ("auto", "whisper-base"),
        ("yue", "whisper-large-v3-turbo"),
        ("eo", None),
        ("tlh", None),
    ],
)
def test_what_to_pull_for_a_language(language, model):
    found = remedies.to_pull(language)
    assert (found.name if found else None) == model


@pytest.mark.parametrize("language", [*PACKS, "auto"])
def test_all_three_give_the_same_remedy(language, tmp_path):
    """Without any model, so that all but English is missing."""
    with pytest.raises(EngineUnavailable) as refused:
        registry.choose(language, STANDARD, registry.offered(EngineConfig(models=tmp_path / "models"), "whisper"))
    remedy = remedies.to_pull(language)
    assert ("models pull" in refused.value.why) == (remedy is not None)
    if remedy is None:
        assert language in UNKNOWN
        return
    pull = f"`sottovoce models pull {remedy.name}`"
    assert pull in refused.value.why
    assert any(pull in better for better in _doctor()[language])
    assert language == "en" or language in _listed()[remedy.name]


_KEPT: dict[str, dict[str, list[str]]] = {}


def _doctor() -> dict[str, list[str]]:
    """What `doctor` says of each language, asked once."""
    if "doctor" not in _KEPT:
        rows = json.loads(CliRunner().invoke(main, ["doctor", "--json", "--quick"]).stdout)["engines"]
        _KEPT["doctor"] = {code: row["better"] for row in rows for code in row["languages"]}
    return _KEPT["doctor"]


def _listed() -> dict[str, list[str]]:
    if "list" not in _KEPT:
        entries = json.loads(CliRunner().invoke(main, ["models", "list", "--json"]).stdout)["unserved"]
        _KEPT["list"] = {entry["model"]: entry["languages"] for entry in entries}
    return _KEPT["list"]


def test_with_whisper_base_cantonese_alone_is_missing(tmp_path):
    build(tmp_path / "models" / "whisper-base")
    listed = CliRunner().invoke(main, ["models", "list"]).stdout.splitlines()
    assert "not served: yue: run `sottovoce models pull whisper-large-v3-turbo`" in listed
    assert "not served: eo ia ga ug: no model of the catalogue supports them" in listed
    base = next(line for line in listed if line.startswith("whisper-base "))
    assert "all of Whisper's but yue" in base


def test_what_is_better_begins_with_what_is_easiest_to_get():
    assert [model.name for model in remedies.better("yue", -1)] == ["whisper-large-v3-turbo", "whisper-large-v3"]
    assert remedies.better("de", -1)[0].name == "whisper-base"
    assert "whisper-base" not in {model.name for model in remedies.better("de", 20)}
    assert remedies.better("eo", -1) == ()


def test_a_fault_comes_with_what_to_run():
    assert "`sottovoce models pull whisper-base`" in remedies.of_fault("whisper-base")
    assert "models remove mine" in remedies.of_fault("mine")


# ── the two models that `make setup` brings ──


@pytest.fixture
def both(tmp_path: Path) -> EngineConfig:
    from tests.tiny_whisper import Tiny

    build(tmp_path / "models" / "whisper-base")
    build(tmp_path / "models" / "whisper-tiny.en", Tiny(multilingual=False))
    assert [model.name for model in ModelStore(tmp_path / "models").present()] == ["whisper-base", "whisper-tiny.en"]
    return EngineConfig(models=tmp_path / "models")


@pytest.mark.parametrize("point", OperatingPoint)
@pytest.mark.parametrize("language", [*sorted(PACKS.keys() - UNKNOWN - {"yue"}), "auto"])
def test_base_answers_every_language_and_auto(both, language, point):
    assert registry.choose(language, point, registry.offered(both)).model == "whisper-base"


def test_tiny_en_answers_where_a_setting_names_it(both):
    from dataclasses import replace

    offers = registry.offered(replace(both, pinned={STANDARD: "whisper-tiny.en"}))
    assert registry.choose("en", STANDARD, offers).model == "whisper-tiny.en"
    assert registry.choose("en", ENHANCED, offers).model == "whisper-base"
    assert registry.choose("de", STANDARD, offers).model == "whisper-base"
    assert registry.choose("auto", STANDARD, offers).model == "whisper-base"


def test_every_model_of_the_catalogue_that_transcribes_knows_some_language():
    assert {name for name, model in CATALOGUE.items() if not remedies.languages_of(model)} == {"ctc-en", "minilm"}
