"""The catalogue agrees with the libraries that load its models, and no name in it can do harm."""

import re
from pathlib import Path

import pytest

from sottovoce.engines.models.catalogue import (
    CATALOGUE,
    ModelFault,
    canonical,
    checked_revision,
    engine_of,
    find,
    of_repository,
    quantization_of,
    wanted,
)
from sottovoce.engines.models.hub_client import Source, hub_address, read_token
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import PACKS

ROOT = Path(__file__).parents[4]
WHISPERS = [model for model in CATALOGUE.values() if model.engine == "whisper"]
NEMOS = [model for model in CATALOGUE.values() if model.engine == "onnx-asr"]


def test_whisper_s_repositories_are_those_of_faster_whisper():
    from faster_whisper import utils

    assert {model.repository for model in WHISPERS} <= set(utils._MODELS.values())
    for model in WHISPERS:
        assert utils._MODELS[model.name.removeprefix("whisper-")] == model.repository


def test_nemo_s_repositories_are_those_of_onnx_asr():
    from onnx_asr.resolver import model_repos

    for model in NEMOS:
        assert model_repos[f"nemo-{model.name}"] == model.repository


def test_what_onnx_asr_looks_for_is_what_is_fetched(tmp_path):
    from onnx_asr.loader import create_asr_resolver

    for model in NEMOS:
        loader = create_asr_resolver(f"nemo-{model.name}").model_type
        for quantization, suffix in (("int8", ".int8"), ("fp32", "")):
            names = [
                file.replace("?int8", suffix) for file in loader._get_model_files(suffix.strip(".") or None).values()
            ]
            offered = [*names, "config.json", "README.md", "nemo128.onnx", f"encoder-model{suffix}.onnx.data"]
            assert wanted("onnx-asr", offered, quantization) == {*offered} - {"README.md", "nemo128.onnx"}


def test_every_entry_is_complete():
    for name, model in CATALOGUE.items():
        assert model.name == name
        assert re.fullmatch("[0-9a-f]{40}" if model.repository else r"\d+\.\d+\.\d+", model.revision)
        assert 1 <= model.grade <= 99
        assert 10_000_000 < model.size < 10_000_000_000
        assert model.licence in {"MIT", "CC-BY-4.0", "Apache-2.0"}
        assert model.languages is None or model.languages <= PACKS.keys()
    assert len({model.revision for model in CATALOGUE.values()}) == len(CATALOGUE)
    assert len({model.grade for model in CATALOGUE.values()}) == len(CATALOGUE)


def test_english_models_know_english_alone():
    for model in CATALOGUE.values():
        if model.name.endswith(".en") or "distil" in model.name or model.name == "parakeet-tdt-0.6b-v2":
            assert model.languages == {"en"}


def test_grades_rise_with_size_and_large_ones_are_for_enhanced():
    grades = [
        CATALOGUE[f"whisper-{size}"].grade for size in ("tiny", "base", "small", "medium", "large-v2", "large-v3")
    ]
    assert grades == sorted(grades)
    enhanced = {name for name, model in CATALOGUE.items() if model.suits is OperatingPoint.ENHANCED}
    assert enhanced == {"whisper-medium", "whisper-medium.en", "whisper-large-v2", "whisper-large-v3", "canary-1b-v2"}


def test_the_page_for_operators_lists_the_catalogue_as_it_is():
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for model in CATALOGUE.values():
        size = f"{model.size / 1e9:.2f} GB" if model.size >= 1e9 else f"{model.size / 1e6:.0f} MB"
        row = rf"^\| `{re.escape(model.name)}` \| {size} \| [^|]+ \| {model.suits} \| {model.grade} \| {model.licence} \|$"
        assert re.search(row, page, re.MULTILINE), model.name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tdt-0.6b-v3", "did you mean parakeet-tdt-0.6b-v3?"),
        ("whisper-smal", "did you mean whisper-small"),
        ("", "models list"),
        ("zzz", "models list"),
    ],
)
def test_an_unknown_name_is_answered_with_what_was_meant(name, hint):
    with pytest.raises(ModelFault, match=re.escape(hint)):
        find(name)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("base", "whisper-base"),
        ("tiny.en", "whisper-tiny.en"),
        ("large-v3", "whisper-large-v3"),
        ("distil-large-v3.5", "whisper-distil-large-v3.5"),
        ("turbo", "whisper-large-v3-turbo"),
        ("large", "whisper-large-v3"),
    ],
)
def test_a_short_name_stands_for_the_whisper_model(short, full):
    assert canonical(short) == canonical(full) == full
    assert find(short) is find(full)


@pytest.mark.parametrize("name", ["ctc-en", "en", "canary-1b-v2", "court-de", "", "whisper-", "acme/base"])
def test_any_other_name_stays_as_it_is(name):
    assert canonical(name) == name


def test_an_operator_s_own_model_keeps_its_name():
    assert canonical("base", present={"base", "whisper-base"}) == "base"


def test_no_short_name_means_two_models():
    shorts = [name.removeprefix("whisper-") for name in CATALOGUE]
    assert len(set(shorts)) == len(shorts)


@pytest.mark.parametrize(
    "repository", ["", "x", "a/b/c", "../b", "a/..", "a/b?c", "a/b#c", "a b/c", "https://a/b", "a/b\n"]
)
def test_a_repository_is_owner_and_name(repository):
    with pytest.raises(ModelFault, match="is not a repository"):
        of_repository(repository, "mine", "whisper", "main", frozenset())


@pytest.mark.parametrize("revision", ["", "..", "a/../b", "a..b", "/a", "a//b", "a b", "a\n", "x" * 129, "-a", "a?b"])
def test_a_revision_is_a_commit_branch_or_tag(revision):
    with pytest.raises(ModelFault, match="is not a revision"):
        checked_revision(revision)


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/7", "a" * 40])
def test_usual_revisions_pass(revision):
    assert checked_revision(revision) == revision


def test_a_name_of_the_catalogue_is_not_given_away():
    with pytest.raises(ModelFault, match="another name"):
        of_repository("acme/x", "whisper-small", "whisper", "main", frozenset())
    with pytest.raises(ModelFault, match="--language"):
        of_repository("acme/x", "mine", "onnx-asr", "main", frozenset())


def test_the_engine_is_seen_from_the_files():
    assert engine_of(["model.bin"]) == "whisper"
    assert engine_of(["encoder-model.onnx"]) == "onnx-asr"
    assert engine_of(["tokenizer.bin", "encoder_model.ort", "decoder_model_merged.ort"]) == "moonshine"
    assert engine_of(["README.md"]) is None


def test_a_quantization_that_is_not_offered_is_refused_with_those_that_are():
    names = ["config.json", "vocab.txt", "encoder-model.int8.onnx", "decoder-model.int8.onnx"]
    with pytest.raises(ModelFault, match="it has no fp32 files, only int8"):
        wanted("onnx-asr", names, "fp32")


def test_a_voice_encoder_is_one_file_of_a_repository():
    assert engine_of(["README.md", "pretrained.pt"]) == "voice-encoder"
    assert engine_of(["encoder-model.onnx", "encoder.pt"]) == "onnx-asr"
    names = ["README.md", "encoder.pt", "pretrained.pt", "synthesizer.pt", "vocoder.pt"]
    assert wanted("voice-encoder", names) == {"encoder.pt"}
    assert wanted("voice-encoder", names[2:]) == {"pretrained.pt"}
    assert quantization_of("voice-encoder", names) is None
    with pytest.raises(ModelFault, match=r"lacks encoder\.pt or pretrained\.pt"):
        wanted("voice-encoder", ["synthesizer.pt", "folder/encoder.pt"])


def test_a_voice_encoder_without_a_pinned_commit_is_not_in_the_catalogue_and_says_so():
    with pytest.raises(ModelFault, match="pull owner/repository --engine voice-encoder --name voice-encoder"):
        find("voice-encoder")
    model = of_repository("acme/voices", "voice-encoder", "voice-encoder", "main", frozenset())
    assert (model.engine, model.languages) == ("voice-encoder", None)


# ── sources and tokens ──


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hub",
        "ftp://hub",
        "https://",
        "https://hub?x=1",
        "https://hub#x",
        "https://hub:port",
        "http://[::1",
        "https://hub:0",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ModelFault, match="address of the model hub"):
        Source(url=url)


def test_messages_name_the_host_and_no_credentials():
    source = Source(url="https://user:password@mirror.example:8443/hub", token="hf_x")
    assert source.host == "mirror.example:8443"
    assert "hf_x" not in repr(source)


def test_a_token_is_not_sent_in_the_clear():
    with pytest.raises(ModelFault, match="plain http"):
        Source(url="http://mirror.example", token="hf_x")
    assert Source(url="http://127.0.0.1:1", token="hf_x").token == "hf_x"
    assert Source(url="http://mirror.example").token is None


def test_the_token_of_the_environment_is_for_the_hub_alone(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", " hf_environment\n")
    assert read_token(None, hub_address()) == "hf_environment"
    assert read_token(None, hub_address() + "/") == "hf_environment"
    assert read_token(None, "https://mirror.example") is None
    monkeypatch.setenv("HF_TOKEN", "hf with\nlines")
    with pytest.raises(ModelFault, match="must consist of printable ASCII"):
        Source(url=hub_address(), token=read_token(None, hub_address()))


def test_a_token_file_is_for_whatever_is_asked(tmp_path):
    file = tmp_path / "token"
    file.write_text("hf_file\n")
    assert read_token(file, "https://mirror.example") == "hf_file"
    for content in (b"", b"two words", b"\xff\xfe", b"x" * 1_001):
        file.write_bytes(content)
        with pytest.raises(ModelFault, match="holds no token"):
            read_token(file, "https://mirror.example")
    with pytest.raises(ModelFault, match="cannot be read"):
        read_token(tmp_path / "none", "https://mirror.example")
