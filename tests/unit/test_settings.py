import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from sottovoce.settings import ROLES, Settings, load


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No setting from anywhere: an empty folder and no SOTTOVOCE_ variable."""
    for name in [name for name in os.environ if name.upper().startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_flag_beats_environment_beats_file_beats_default(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().port == 8080
    (bare / "sottovoce.toml").write_text("port = 1\n")
    assert load().port == 1
    monkeypatch.setenv("SOTTOVOCE_PORT", "2")
    assert load().port == 2
    assert load(port=3).port == 3
    assert load(port=None).port == 2  # a flag that was not given


def test_the_file_may_be_elsewhere(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / "sottovoce.toml").write_text("port = 1\n")
    (bare / "other.toml").write_text('port = 4\nroles = ["api"]\nblob_options = { endpoint = "e" }\n')
    monkeypatch.setenv("SOTTOVOCE_CONFIG", str(bare / "other.toml"))
    settings = load()
    assert (settings.port, settings.roles, settings.blob_options) == (4, ("api",), {"endpoint": "e"})


def test_a_file_that_is_named_must_exist(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_CONFIG", str(bare / "missing.toml"))
    with pytest.raises(ValueError, match="SOTTOVOCE_CONFIG"):
        load()


def test_defaults_are_those_of_a_first_start() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.region, settings.roles) == ("127.0.0.1", 8080, "eu1", ROLES)
    assert [settings.database_url, settings.control_database_url, settings.blob_url] == [None] * 3
    assert settings.api_key is None
    assert settings.slots is None


def test_cheap_hashes_of_passwords_need_a_setting_that_says_so() -> None:
    with pytest.raises(ValidationError, match="at least 65536; only tests"):
        load(password_memory_kib=65_535)
    assert load(password_memory_kib=65_535, unsafe_password_hashes=True).password_memory_kib == 65_535
    assert load(password_memory_kib=131_072).password_memory_kib == 131_072


BAD = {
    "port": ["-1", "65536", "http"],
    "region": ["", "EU1", "../x", "eu"],
    "trusted_proxies": ["*", "proxy.lan", "10.0.0.1/8", "300.1.1.1"],
    "region_number": ["0", "100"],
    "roles": ["api,web", "", " , "],
    "slots": ["0", "65", "many"],
    "engine": ["", "none such"],
    "max_upload_bytes": ["0", "4GB"],
    "poll_interval": ["0", "nan"],
    "lease": ["0"],
    "heartbeat": ["0", "9"],
    "max_failures": ["0"],
    "retention_days": ["-1"],
    "log_level": ["LOUD"],
    "blob_options": ["not json", "[1]"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_names_its_setting(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SOTTOVOCE_{name.upper()}", value)
    with pytest.raises(ValueError, match=f"(?i){name}"):
        load()


def test_an_unknown_flag_or_line_is_an_error(bare: Path) -> None:
    with pytest.raises(ValidationError, match="prot"):
        load(prot=1)
    (bare / "sottovoce.toml").write_text("prot = 1\n")
    with pytest.raises(ValidationError, match="prot"):
        load()


def test_a_bad_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_BLOB_OPTIONS", json.dumps({"secret_access_key": ["hush"]}))
    with pytest.raises(ValidationError) as refused:
        load()
    assert "hush" not in str(refused.value)
    assert "blob_options" in str(refused.value)


def test_redacted_shows_every_setting_and_no_secret() -> None:
    settings = load(
        api_key="hush-hush",
        database_url="postgresql://user:hu@sh@host:5432/db",
        control_database_url="postgresql:///db?host=h&password=hush",
        blob_url="s3://bucket/prefix",
        blob_options={"access_key_id": "hush", "secret_access_key": "hush"},
        roles="api, batch",
    )
    shown = settings.redacted()
    assert set(shown) == set(Settings.model_fields)
    text = json.dumps(shown)
    assert "hush" not in text
    assert "hu@sh" not in text
    assert "user" not in text
    assert shown["database_url"] == "postgresql://***@host:5432/db"
    assert shown["blob_url"] == "s3://bucket/prefix"
    assert shown["blob_options"] == {"access_key_id": "***", "secret_access_key": "***"}
    assert shown["roles"] == ["api", "batch"]
    assert "hush" not in repr(settings.api_key)


def test_settings_stay_as_they_are() -> None:
    with pytest.raises(ValidationError):
        load().port = 1


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.rstrip().endswith(".") or ";" in field.description or "…" in field.description, name
