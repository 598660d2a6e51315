"""`sottovoce models`: what an operator types, reads and can build scripts on."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sottovoce.cli.local.models import models
from sottovoce.engines.models.catalogue import CATALOGUE
from sottovoce.engines.models.store import ModelStore
from tests.hub import Hub, Repository
from tests.unknown_files import EMPTIED, empty_the_table

TINY = CATALOGUE["whisper-tiny"]
FILES = {
    "config.json": b"{}",
    "model.bin": bytes(range(256)) * 8_000,
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"one\n",
}


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting and no token from outside."""
    for name in [name for name in os.environ if name.startswith(("SOTTOVOCE_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    empty_the_table(monkeypatch)


@pytest.fixture
def hub(monkeypatch):
    with Hub() as hub:
        hub.repositories[TINY.repository] = Repository(dict(FILES), commit=TINY.revision)
        monkeypatch.setenv("SOTTOVOCE_MODELS_URL", hub.url)
        monkeypatch.setenv("SOTTOVOCE_MODEL_SOURCES", "mirror")
        yield hub


def run(*words: str) -> Result:
    result = CliRunner().invoke(models, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def listed() -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(run("list", "--json").stdout)["models"]}


def test_the_list_shows_every_model_with_size_languages_and_licence():
    result = run("list")
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines()}
    assert CATALOGUE.keys() <= lines.keys()
    assert lines["whisper-large-v3"][1:] == ["whisper", "3.09", "GB", "all", "of", "Whisper's", "enhanced", "MIT"]
    assert lines["parakeet-tdt-0.6b-v3"][1:] == ["onnx-asr", "670", "MB", "25", "languages", "standard", "CC-BY-4.0"]
    assert str(Path("data/models").absolute()) in result.stdout


def test_the_list_is_there_for_programs():
    rows = listed()
    assert rows["whisper-tiny"]["repository"] == TINY.repository
    assert rows["whisper-tiny"]["languages"] is None
    assert rows["whisper-tiny.en"]["languages"] == ["en"]
    assert not any(row["present"] for row in rows.values())


def test_pull_list_verify_remove(hub):
    result = run("pull", "whisper-tiny")
    assert result.exit_code == 0
    assert result.stdout == "whisper-tiny: 2 MB fetched, at d90ca5fe2602\n"
    assert "whisper-tiny: fetching 50% of 2 MB\n" in result.stderr
    assert run("pull", "whisper-tiny").stdout == "whisper-tiny: already present, at d90ca5fe2602\n"
    assert listed()["whisper-tiny"]["present"]
    assert run("verify").stdout == "whisper-tiny: sound, 4 files\n"
    assert run("remove", "whisper-tiny").stdout.startswith("whisper-tiny: removed, 2 MB freed")
    assert not listed()["whisper-tiny"]["present"]


def test_verify_fails_and_names_what_is_wrong(hub):
    run("pull", "whisper-tiny")
    folder = Path("data/models/whisper-tiny")
    (folder / "model.bin").write_bytes(FILES["model.bin"][::-1])
    (folder / "config.json").unlink()
    (folder / "new.txt").write_text("x")
    result = run("verify", "whisper-tiny")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "whisper-tiny: missing: config.json",
        "whisper-tiny: changed: model.bin",
        "whisper-tiny: extra: new.txt",
    ]
    assert run("verify").exit_code == 1
    assert "cannot be used: whisper-tiny: config.json is missing" in run("list").stdout
    run("pull", "whisper-tiny")
    assert run("verify").exit_code == 0


def test_verify_of_nothing_and_of_what_is_not_recorded(hub):
    assert run("verify").stdout.startswith("no models in ")
    folder = Path("data/models/mine")
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    result = run("verify")
    assert (result.exit_code, "no checksums recorded" in result.stdout) == (0, True)
    assert run("verify", "other").exit_code == 1


def test_a_failed_pull_is_one_line_and_exit_code_1_and_the_others_are_pulled(hub):
    result = run("pull", "whisper-smal", "whisper-tiny")
    assert result.exit_code == 1
    told = result.stderr.splitlines()[0]
    assert told.startswith("Error: no model 'whisper-smal' in the catalogue; did you mean whisper-small")
    assert "whisper-tiny: 2 MB fetched" in result.stdout


def test_offline_by_flag_and_by_setting(hub, monkeypatch):
    assert "offline, so nothing is fetched" in run("pull", "whisper-tiny", "--offline").stderr
    monkeypatch.setenv("SOTTOVOCE_OFFLINE", "true")
    assert run("pull", "whisper-tiny").exit_code == 1
    assert hub.seen == []


def test_a_token_file_opens_a_gated_model_on_a_mirror(hub, monkeypatch):
    hub.repositories[TINY.repository].key = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")  # for the hub itself, and this is a mirror
    refused = run("pull", "whisper-tiny")
    assert refused.exit_code == 1
    assert "give a token" in refused.stderr
    Path("token").write_text("hf_secret\n")
    result = run("pull", "whisper-tiny", "--token-file", "token")
    assert result.exit_code == 0
    assert "hf_secret" not in result.output


def test_a_repository_of_one_s_own_choice(hub):
    hub.repositories["acme/court"] = Repository(dict(FILES), commit="b" * 40)
    result = run("pull", "acme/court", "--engine", "whisper", "--name", "court", "--language", "de")
    assert result.exit_code == 0
    row = listed()["court"]
    assert (row["present"], row["languages"], row["grade"], row["repository"]) == (True, ["de"], 50, "acme/court")


def test_a_voice_encoder_is_pulled_checked_and_listed(hub):
    files = {"README.md": b"x", "encoder.pt": b"weights" * 9_000, "vocoder.pt": b"much more" * 9_000}
    hub.repositories["acme/voices"] = Repository(files, commit="d" * 40)
    pulled = run("pull", "acme/voices", "--engine", "voice-encoder", "--name", "voice-encoder")
    assert pulled.stdout == "voice-encoder: 63000 bytes fetched, at dddddddddddd\n"
    assert sorted(file.name for file in Path("data/models/voice-encoder").iterdir()) == ["encoder.pt", "manifest.json"]
    row = listed()["voice-encoder"]
    assert (row["engine"], row["present"], row["languages"]) == ("voice-encoder", True, None)
    line = next(line for line in run("list").stdout.splitlines() if line.startswith("voice-encoder"))
    assert line.split()[1:] == ["voice-encoder", "63000", "bytes", "any", "standard", "not", "stated", "yes"]
    assert run("verify").stdout == "voice-encoder: sound, 1 files\n"
    Path("data/models/voice-encoder/encoder.pt").write_bytes(b"Weights" + files["encoder.pt"][7:])
    assert run("verify").stdout == "voice-encoder: changed: encoder.pt\n"


def test_a_voice_encoder_may_be_put_there_by_hand():
    folder = Path("data/models/voices")
    folder.mkdir(parents=True)
    (folder / "pretrained.pt").write_bytes(b"weights")
    assert listed()["voices"]["engine"] == "voice-encoder"
    assert "no checksums recorded" in run("verify").stdout
    refused = run("pull", "voice-encoder")
    assert refused.exit_code == 1
    assert "docs/models.md" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("acme/court",),
        ("acme/court", "--engine", "whisper"),
        ("acme/court", "--engine", "whisper", "--name", "court", "--language", "german"),
        ("whisper-tiny", "--engine", "whisper"),
        ("acme/court", "acme/other", "--engine", "whisper", "--name", "court"),
        ("whisper-tiny", "--quantization", "int3"),
        (),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(words):
    assert run("pull", *words).exit_code == 2


@pytest.mark.parametrize("name", ["../x", "..", "/etc"])
def test_no_name_leads_out_of_the_folder(name):
    assert run("remove", name).exit_code == 1
    assert run("verify", name).exit_code == 1
    assert run("pull", "acme/court", "--engine", "whisper", "--name", name).exit_code == 1


def test_the_folder_is_a_setting(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("SOTTOVOCE_MODELS_DIR", str(tmp_path / "elsewhere"))
    run("pull", "whisper-tiny")
    assert [model.name for model in ModelStore(tmp_path / "elsewhere").present()] == ["whisper-tiny"]


def test_an_interrupted_pull_is_shown(hub):
    hub.faults.spoilt.add("tokenizer.json")  # the last but one
    assert run("pull", "whisper-tiny").exit_code == 1
    assert listed()["whisper-tiny"]["bytes_of_unfinished_pull"] >= len(FILES["model.bin"])
    assert "2 MB fetched" in run("list").stdout


def test_on_a_terminal_there_is_a_bar(hub, tmp_path):
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-c",
        EMPTIED + "from sottovoce.cli.local.models import models; models()",
        "pull",
        "whisper-tiny",
    ]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        child = subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm"})
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += terminal.read(4096)
            except OSError:  # Linux says so when the other end is closed
                break
        out, _ = child.communicate()
    assert child.returncode == 0
    assert out == b"whisper-tiny: 2 MB fetched, at d90ca5fe2602\n"
    assert "━".encode() in shown
