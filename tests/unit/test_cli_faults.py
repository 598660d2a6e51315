"""A command that cannot do its work says why in one line: which file or address, and what is wrong. No trace, no secret."""

import errno
import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sottovoce.cli import main
from sottovoce.cli.common import system_fault
from sottovoce.cli.local.engine_session import friendly_errors
from sottovoce.errors import Kind, LanguageRejected, Refused
from sottovoce.service.storage.blobs import Blobs

COMMANDS = [["jobs", "list"], ["keys", "list"], ["users", "list"], ["status"], ["deliveries", "list"], ["migrate"], ["serve", "--port", "0"]]  # fmt: skip


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No setting from anywhere: an empty folder and no SOTTOVOCE_ variable."""
    for name in [name for name in os.environ if name.upper().startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sottovoce.logs.set_up", lambda *_, **__: None)  # `serve` sets it up for a process of its own
    return tmp_path


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a database server that refuses connections."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def told(result: Result) -> str:
    """The one line that the command says."""
    assert result.exit_code in {1, 2}, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert result.stderr.splitlines()[-1] == lines[0], result.stderr
    assert "Traceback" not in result.output
    return lines[0].removeprefix("Error: ")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_is_away_is_named(command: list[str], away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, database in (("DATABASE_URL", "jobs"), ("CONTROL_DATABASE_URL", "keys")):
        monkeypatch.setenv(f"SOTTOVOCE_{name}", f"postgresql://user:hush@{away}/{database}")
    monkeypatch.setenv("SOTTOVOCE_API_KEY", "a-key")
    text = told(run(*command))
    assert away in text
    assert "database" in text
    assert "refused" in text
    assert "hush" not in text


@pytest.mark.parametrize(
    "command", [["jobs", "list"], ["secrets", "rotate"], ["migrate"], ["serve", "--port", "0"]], ids=" ".join
)
def test_a_damaged_region_database_is_named(command: list[str], bare: Path) -> None:
    assert run("migrate").exit_code == 0
    (bare / "data" / "secrets.key").write_text("x")
    path = bare / "data" / "eu1" / "region.db"
    path.write_bytes(path.read_bytes()[:5000])
    text = told(run(*command))
    assert text.startswith(f"{Path('data') / 'eu1' / 'region.db'} is damaged (database disk image is malformed): ")


@pytest.mark.parametrize("command", [["keys", "list"], ["users", "list"], ["migrate"]], ids=" ".join)
def test_an_empty_or_foreign_control_database_is_named(command: list[str], bare: Path) -> None:
    path = bare / "data" / "control.db"
    path.parent.mkdir()
    path.write_bytes(b"")
    if command != ["migrate"]:
        assert told(run(*command)).startswith("the control database data/control.db is empty: restore it")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title)")
    assert told(run(*command)).startswith(
        "data/control.db is not a control database of Sottovoce, it has the tables songs"
    )


def test_a_folder_that_cannot_be_used_is_named(bare: Path) -> None:
    (bare / "data").write_text("")
    text = told(run("serve", "--port", "0"))
    assert text == "data: File exists; name a folder with --data-dir"


@pytest.mark.parametrize(
    ("number", "cure"), [(errno.EROFS, "make it writable"), (errno.ENOSPC, "make room"), (errno.EACCES, "--data-dir")]
)
def test_a_fault_of_the_system_has_a_next_step(number: int, cure: str) -> None:
    text = system_fault(OSError(number, os.strerror(number), "data/eu1/lock"))
    assert text.startswith(f"data/eu1/lock: {os.strerror(number)}; ")
    assert cure in text
    assert system_fault(OSError("the blob store cannot be read: …")) == "the blob store cannot be read: …"


# ── the blob store ──

WRONG = {
    "endpoint": "minio:9000",
    "nonsense": "1",
    "region": "eu\n",
    "virtual_hosted_style_request": "perhaps",
    "access_key_id": "a\tb",
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_of_the_store_are_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first and the third, the library would panic at its first request."""
    right = {"endpoint": "http://127.0.0.1:9", "region": "x", "access_key_id": "a", "secret_access_key": "hush"}
    monkeypatch.setenv("SOTTOVOCE_BLOB_URL", "s3://bucket/prefix")
    monkeypatch.setenv("SOTTOVOCE_BLOB_OPTIONS", json.dumps(right | {name: WRONG[name]}))
    text = told(run("serve", "--port", "0"))
    assert "SOTTOVOCE_BLOB_OPTIONS: " in text
    assert "hush" not in text
    found = json.loads(run("doctor", "--quick", "--json").stdout)["findings"]
    (blobs,) = [entry for entry in found if entry["part"] == "blobs"]
    assert blobs["level"] == "fault"
    assert "\n" not in blobs["text"]


def test_a_panic_of_the_store_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panic is no `Exception`."""

    class PanicException(BaseException):
        pass

    def panic(*_: object, **__: object) -> None:
        raise PanicException("called `Result::unwrap()` on an `Err` value\nstack backtrace: …")

    monkeypatch.setattr("obstore.store.from_url", panic)
    with pytest.raises(ValueError, match="called `Result::unwrap") as error:
        Blobs.open("s3://bucket/prefix", {})
    assert "\n" not in str(error.value)


# ── settings ──


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"port = \n", "the file sottovoce.toml is not valid TOML: Invalid value (at line 1, column 8)"),
        (b"\xff\n", "the file sottovoce.toml is not valid TOML: 'utf-8' codec"),
        (b"prot = 1\n", "prot (in sottovoce.toml): is not a setting (did you mean port?)"),
        (b"port = 'http'\n", "port (in sottovoce.toml): Input should be a valid integer"),
        (b"heartbeat = 9\n", "heartbeat must be at most half of lease"),
    ],
)
def test_a_fault_of_the_file_names_it(bare: Path, content: bytes, said: str) -> None:
    (bare / "sottovoce.toml").write_bytes(content)
    assert said in told(run("keys", "list"))


def test_a_file_that_cannot_be_read_is_named(bare: Path) -> None:
    (bare / "sottovoce.toml").mkdir()
    assert told(run("keys", "list")) == "invalid settings: the file sottovoce.toml cannot be read: Is a directory"


def test_a_fault_of_the_environment_does_not_name_the_file(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "sottovoce.toml").write_text("port = 1\n")
    monkeypatch.setenv("SOTTOVOCE_PORT", "http")
    assert told(run("keys", "list")).startswith("invalid settings: port: Input should be")
    monkeypatch.setenv("SOTTOVOCE_PORT", "1")
    monkeypatch.setenv("SOTTOVOCE_BLOB_OPTIONS", "{'endpoint': 'http://hush'}")
    text = told(run("keys", "list"))
    assert text.startswith("invalid settings: SOTTOVOCE_BLOB_OPTIONS is not valid JSON: Expecting property name")
    assert "hush" not in text


def test_a_misspelt_variable_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_PROT", "1")
    monkeypatch.setenv("SOTTOVOCE_XYZZY", "1")
    monkeypatch.setenv("SOTTOVOCE_CONFIG", "")
    monkeypatch.setenv("SOTTOVOCE_TEST_MODELS", "models")
    result = run("jobs", "list")
    assert result.stderr.splitlines()[:-1] == [
        "warning: SOTTOVOCE_PROT is not a setting (did you mean SOTTOVOCE_PORT?); it has no effect",
        "warning: SOTTOVOCE_XYZZY is not a setting; it has no effect",
    ]


def test_beginning_anew_is_for_one_region() -> None:
    result = run("serve", "--regions", "eu1,us1", "--begin-anew", "region-database")
    assert "--begin-anew is for one region" in told(result)


@pytest.mark.parametrize(
    ("at", "told"), [("transcription_config.language", "--language: no"), ("data_file", "data_file: no"), (None, "no")]
)
def test_a_refusal_names_the_option_of_the_command(at: str | None, told: str) -> None:
    with pytest.raises(click.ClickException) as raised, friendly_errors():
        raise Refused(Kind.INVALID_CONFIG, "no", at=at)
    assert raised.value.message == told


def test_a_language_that_is_not_identified_can_be_named() -> None:
    with (
        pytest.raises(click.ClickException, match=r"^No speech; name the language with --language$"),
        friendly_errors(),
    ):
        raise LanguageRejected("No speech")
