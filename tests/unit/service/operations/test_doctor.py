"""`sottovoce doctor`: the command as an operator has it, on folders in every state."""

import json
import os
import socket
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.engines import config, registry
from sottovoce.engines.protocols import Capabilities
from sottovoce.service.jobs import repository
from sottovoce.service.operations import doctor, model_checks
from sottovoce.service.queue import worker_registry
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.service.storage.encryption import Encryptor, new_key
from sottovoce.transcript import codec
from sottovoce.transcript.languages import PACKS
from sottovoce.transcript.model import Transcript
from tests.data_wheels import FILES, MODEL, install
from tests.tiny_whisper import build
from tests.unit.service.service_values import new_job


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command on a folder of the test's own, on a port that is free."""
    monkeypatch.setenv("SOTTOVOCE_PORT", "0")
    monkeypatch.setenv("SOTTOVOCE_RESERVE_BYTES", "0")

    def go(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["doctor", "--data-dir", str(tmp_path / "data"), *arguments])

    return go


def report(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout))


def finding(result: Result, part: str) -> dict[str, str]:
    (found,) = [entry for entry in report(result)["findings"] if entry["part"] == part]
    return dict(found)


def test_a_first_look_says_who_serves_what_and_what_would_do_better(run, tmp_path):
    result = run()
    assert result.exit_code == 0, result.output
    assert "pocketsphinx en-us on cpu, from its package" in result.output
    assert "sottovoce models pull whisper-" in result.output
    assert "  eo ia ga ug\n    refused\n    no model of the catalogue supports them\n" in result.output
    assert not (tmp_path / "data").exists(), "a look leaves nothing behind"


def test_one_language_is_looked_at_alone(run):
    (row,) = report(run("--language", "fr", "--json"))["engines"]
    assert "fr" in row["languages"]
    assert row["standard"] == row["enhanced"] == "refused"
    assert row["better"]
    (row,) = report(run("--language", "auto", "--json"))["engines"]
    assert row["standard"] == "refused"
    assert all("whisper" in cure for cure in row["better"])
    assert run("--language", "tlh").exit_code == 2


def test_every_language_of_the_contract_has_an_answer(run):
    rows = report(run("--json"))["engines"]
    codes = [code for row in rows for code in row["languages"]]
    assert sorted(codes) == sorted({*PACKS, "auto"})


def test_a_model_that_is_set_but_missing_is_the_answer(run, monkeypatch):
    monkeypatch.setenv("SOTTOVOCE_ENHANCED_MODEL", "whisper-large-v3")
    result = run()
    assert result.exit_code == 1
    assert "sottovoce models pull whisper-large-v3" in result.output


def test_a_gpu_that_is_not_there_is_the_answer(run, monkeypatch):
    monkeypatch.setattr(config, "_gpus", lambda: 0)
    monkeypatch.setenv("SOTTOVOCE_DEVICE", "cuda")
    result = run()
    assert (result.exit_code, "0 GPU" in result.output) == (1, True)


def test_a_disk_without_the_reserve_is_a_fault(run, monkeypatch):
    monkeypatch.setenv("SOTTOVOCE_RESERVE_BYTES", str(1 << 60))
    result = run("--json")
    assert (result.exit_code, finding(result, "disk")["level"]) == (1, "fault")


def test_more_slots_than_the_memory_bears_are_a_fault(run, monkeypatch):
    monkeypatch.setattr(doctor, "_available_memory", lambda: 1 << 20)
    result = run("--json")
    assert (result.exit_code, "SOTTOVOCE_SLOTS" in finding(result, "memory")["text"]) == (1, True)


def test_a_port_that_is_taken_is_a_fault_unless_our_server_has_it(run, tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("SOTTOVOCE_PORT", str(taken.getsockname()[1]))
        result = run("--json")
        assert (result.exit_code, finding(result, "port")["level"]) == (1, "fault")
        folder = DataFolder(root=tmp_path / "data", region="eu1")
        folder.prepare()
        lock = folder.lock()
        try:
            result = run("--json")
            assert finding(result, "server")["text"].startswith("one is running")
            assert (result.exit_code, finding(result, "port")["level"]) == (0, "ok")
        finally:
            os.close(lock)
        assert finding(run("--json"), "server")["text"].startswith("none is running")


def test_databases_are_asked_for_their_revision(run, tmp_path):
    folder = DataFolder(root=tmp_path / "data", region="eu1")
    folder.prepare()
    database = Database(sqlite_url(folder.region_database))
    try:
        with database.writing():
            pass  # the file is there, with nothing in it
        assert finding(run("--json"), "region database")["level"] == "note"
        migrate.upgrade(database, migrate.REGION)
        found = finding(run("--json"), "region database")
        assert (found["level"], found["text"].startswith("SQLite, revision")) == ("ok", True)
    finally:
        database.close()
    folder.control_database.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    result = run("--json")
    assert (result.exit_code, finding(result, "control database")["level"]) == (1, "fault")


def test_a_database_and_a_store_that_cannot_be_reached_are_faults(run, monkeypatch):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]  # bound, and nobody listens
        monkeypatch.setenv(
            "SOTTOVOCE_DATABASE_URL", f"postgresql://someone:hush@127.0.0.1:{port}/none?connect_timeout=2"
        )
        monkeypatch.setenv("SOTTOVOCE_BLOB_URL", "s3://bucket/prefix")
        options = {
            "endpoint": f"http://127.0.0.1:{port}",
            "access_key_id": "a",
            "secret_access_key": "hush",
            "region": "x",
        }
        monkeypatch.setenv("SOTTOVOCE_BLOB_OPTIONS", json.dumps(options))
        monkeypatch.setattr(doctor, "TIMEOUT", 2.0)
        result = run("--json")
    assert result.exit_code == 1
    assert finding(result, "region database")["level"] == finding(result, "blobs")["level"] == "fault"
    assert "hush" not in result.output


def filled(folder: DataFolder) -> Database:
    """The region database of a server in *folder* that has accepted a job."""
    folder.prepare()
    encryptor = Encryptor.open_file(folder.secrets_key, create=True)
    database = Database(sqlite_url(folder.region_database))
    migrate.upgrade(database, migrate.REGION)
    with database.writing() as connection:
        repository.insert(connection, new_job(config=encryptor.encrypt(b"{}")))
    return database


def test_the_keys_are_compared_with_the_database(run, tmp_path):
    assert finding(run("--json"), "keys")["text"].startswith("the first start creates")
    folder = DataFolder(root=tmp_path / "data", region="eu1")
    filled(folder).close()
    found = finding(run("--json"), "keys")
    assert (found["level"], found["text"]) == ("ok", f"{folder.secrets_key} decrypts all 1 stored values")
    folder.secrets_key.write_bytes(new_key())
    result = run("--json")
    assert (result.exit_code, finding(result, "keys")["level"]) == (1, "fault")
    assert "decrypts 1 of 1 stored values" in finding(result, "keys")["text"]
    folder.secrets_key.write_text("x")
    assert "cannot be used: key 1 is not" in finding(run("--json"), "keys")["text"]
    folder.secrets_key.unlink()
    assert "is missing, and stored configs are encrypted" in finding(run("--json"), "keys")["text"]


def test_a_lost_database_is_the_fault_with_which_a_start_refuses(run, tmp_path):
    folder = DataFolder(root=tmp_path / "data", region="eu1")
    filled(folder).close()
    blob = folder.blobs / "jobs" / "job0000001" / "1" / "transcript"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"{}")
    kept = folder.region_database.read_bytes()
    for content in (b"", None):
        folder.region_database.unlink()
        if content is not None:
            folder.region_database.write_bytes(content)
        text = finding(run("--json"), "region database")["text"]
        assert "has the files of 1 job(s): restore it" in text
        assert "--begin-anew region-database" in text
        folder.region_database.write_bytes(kept)
    folder.control_database.unlink(missing_ok=True)
    result = run("--json")
    assert (result.exit_code, finding(result, "control database")["level"]) == (1, "fault")
    assert "--begin-anew control-database" in finding(result, "control database")["text"]


def test_a_new_database_beside_old_blobs_is_the_fault_with_which_a_start_refuses(run, tmp_path):
    folder = DataFolder(root=tmp_path / "data", region="eu1")
    database = filled(folder)
    try:
        with database.writing() as connection:
            connection.execute(sa.update(t.counters).where(t.counters.c.name == "v1").values(value=0))
    finally:
        database.close()
    control = Database(sqlite_url(folder.control_database))
    migrate.upgrade(control, migrate.CONTROL)
    control.close()
    blob = folder.blobs / "jobs" / "job0000001" / "1" / "transcript"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"{}")
    result = run("--json")
    told = [each["text"] for each in report(result)["findings"] if each["part"] == "region database"]
    assert result.exit_code == 1
    assert any("has had no job, and the blob store has transcripts of jobs" in text for text in told), told


def test_transcripts_that_the_store_lacks_are_a_fault(run, tmp_path):
    folder = DataFolder(root=tmp_path / "data", region="eu1")
    database = filled(folder)
    try:
        with database.writing() as connection:
            connection.execute(sa.update(t.jobs).values(state="done", result_key="jobs/job0000001/1/transcript"))
    finally:
        database.close()
    result = run("--json")
    assert (result.exit_code, finding(result, "results")["level"]) == (1, "fault")
    assert "lacks the transcripts of 1 of 1 jobs that are done (job0000001)" in finding(result, "results")["text"]
    transcript = folder.blobs / "jobs" / "job0000001" / "1" / "transcript"
    transcript.parent.mkdir(parents=True)
    whole = codec.encode(Transcript(language="en", duration=16_000, created_at=0))
    transcript.write_bytes(whole)
    assert finding(run("--json"), "results")["level"] == "ok"
    for damaged in (b"", whole[:-5], whole.replace(b'"d"', b'"q"'), b"\xff" + whole):
        transcript.write_bytes(damaged)
        result = run("--json")
        assert (result.exit_code, finding(result, "results")["level"]) == (1, "fault")
        text = finding(result, "results")["text"]
        assert "1 of 1 transcripts that were read are truncated or damaged (job0000001)" in text


def test_a_running_server_is_described_instead_of_one_that_would_start_here(run, tmp_path, monkeypatch):
    """Its engines are known from its rows; this environment has another one, which would not even start."""
    monkeypatch.setenv("SOTTOVOCE_ENHANCED_MODEL", "whisper-large-v3")
    monkeypatch.setattr(doctor, "_available_memory", lambda: 1 << 20)
    folder = DataFolder(root=tmp_path / "data", region="eu1")
    database = filled(folder)
    try:
        far = Capabilities(engine="whisper", model="large-far-away", languages=frozenset({"fr"}), device="cuda")
        with database.writing() as connection:
            worker_registry.beat(connection, "embedded", (far,), slots=3)
        result = run("--json")
        (row,) = [row for row in report(result)["engines"] if "fr" in row["languages"]]
        assert row["standard"] == "whisper large-far-away on cuda, from the folder of the running server"
        (row,) = [row for row in report(result)["engines"] if "en" in row["languages"]]
        assert row["standard"] == "refused"
        told = finding(result, "worker")["text"]
        assert told.startswith("embedded runs with 3 slot(s) since ")
        assert told.endswith(": whisper large-far-away on cuda")
        assert {"memory", "models", "gpu"}.isdisjoint(entry["part"] for entry in report(result)["findings"])
        with database.writing() as connection:
            worker_registry.leave(connection, "embedded")
        result = run("--json")
        assert result.exit_code == 1
        assert "sottovoce models pull whisper-large-v3" in result.output
    finally:
        database.close()


def test_a_mail_server_is_greeted_when_there_is_one(run, monkeypatch):
    assert finding(run("--json"), "mail")["text"].startswith("no mail server is set")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SOTTOVOCE_SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("SOTTOVOCE_SMTP_PORT", str(sock.getsockname()[1]))  # bound, and nobody listens
        monkeypatch.setenv("SOTTOVOCE_SMTP_SECURITY", "none")
        monkeypatch.setenv("SOTTOVOCE_SMTP_SENDER", "sottovoce@example.com")
        result = run("--json")
    assert (result.exit_code, finding(result, "mail")["level"]) == (1, "fault")


# ── models ──


def models_found(result: Result) -> list[tuple[str, str]]:
    return [(entry["level"], entry["text"]) for entry in report(result)["findings"] if entry["part"] == "model"]


def test_a_model_is_read_and_loaded(run, tmp_path):
    build(tmp_path / "data" / "models" / "court")
    found = models_found(run("--json"))
    assert ("ok", "court: a model of your own, without recorded checksums") in found
    assert ("ok", "court: whisper loads it on cpu") in found
    assert models_found(run("--json", "--quick")) == []


def test_a_model_that_cannot_be_loaded_is_a_fault_in_one_line(run, tmp_path):
    folder = build(tmp_path / "data" / "models" / "court")
    weights = (folder / "model.bin").read_bytes()
    (folder / "model.bin").write_bytes(weights[: len(weights) // 2])
    result = run("--json")
    assert result.exit_code == 1
    ((_, told),) = [entry for entry in models_found(result) if entry[0] == "fault"]
    assert told.startswith("court cannot be loaded: ")
    assert "\n" not in told


def test_a_model_that_takes_too_long_to_load_is_a_fault(tmp_path):
    build(tmp_path / "models" / "court")
    setup_ = config.EngineConfig(models=tmp_path / "models")
    (looked,) = model_checks.loads(setup_, registry.offered(setup_), timeout=0.01)
    assert (looked.sound, "did not start" in looked.text) == (False, True)


def test_changed_bytes_and_half_a_folder_are_faults_with_a_remedy(run, tmp_path, monkeypatch):
    install(monkeypatch, ())
    folder = tmp_path / "data" / "models" / MODEL
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content[::-1] if name == "tokenizer.json" else content)
    found = models_found(run("--json"))
    remedy = "run `sottovoce models remove whisper-base`, then `sottovoce models pull whisper-base`"
    assert ("fault", f"whisper-base: changed tokenizer.json; {remedy}") in found
    (folder / "model.bin").write_bytes(b"half")
    result = run("--json", "--quick")
    assert result.exit_code == 1
    ((level, told),) = models_found(result)
    assert (level, "model.bin has 4 bytes" in told, "models pull whisper-base" in told) == ("fault", True, True)


def test_each_stage_of_speech_intelligence_has_its_backend_or_the_next_step(run, monkeypatch):
    monkeypatch.setenv("SOTTOVOCE_STAGES", "summary=off")
    found = [entry["text"] for entry in report(run("--json"))["findings"] if entry["part"] == "intelligence"]
    assert "summary: switched off (SOTTOVOCE_STAGES)" in found
    assert "sentiment: analysis lexicon, en" in found
    assert "topics: not installed; the operator can run `sottovoce models pull minilm`" in found
    assert "audio_events: analysis spectrum (music), any language" in found
    assert any(text.startswith("translation: not installed; the operator can name a model") for text in found)
