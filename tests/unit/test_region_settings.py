"""What several regions do to settings: placeholders, files of their own, and what is refused before anything starts."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sottovoce import bootstrap
from sottovoce.cli import main
from sottovoce.cli.server.listening import bound
from sottovoce.settings import load


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.upper().startswith("SOTTOVOCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


BAD = {
    "regions": ["EU1", "eu1,eu1", "eu1,../x"],
    "region_modes": ["batch,video", "live"],
    "region_urls": [
        "not json", '{"US1":"https://a.example"}', '{"us1":"ftp://a.example"}', '{"us1":"https://user:pass@a.example"}',
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_names_its_setting(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SOTTOVOCE_{name.upper()}", value)
    with pytest.raises(ValueError, match=name):
        load()


def test_the_placeholder_stands_for_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_DATABASE_URL", "postgresql://db.example/sottovoce_{region}")
    monkeypatch.setenv("SOTTOVOCE_BLOB_URL", "s3://bucket/{region}")
    monkeypatch.setenv("SOTTOVOCE_PUBLIC_URL", "https://{region}.example.org")
    found = load(region="us1")
    assert found.database_url == "postgresql://db.example/sottovoce_us1"
    assert found.blob_url == "s3://bucket/us1"
    assert found.public_url == "https://us1.example.org"


@pytest.mark.parametrize("name", ["database_url", "blob_url"])
def test_one_store_for_several_regions_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"with several regions it must contain {region}"):
        load(regions="eu1,us1", **{name: "postgresql://db.example/one"})
    assert load(regions="eu1", **{name: "postgresql://db.example/one"})
    assert load(regions="eu1,us1", public_url="https://one.example.org")


def test_each_region_may_have_a_file_of_its_own(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_CONFIG", str(bare / "{region}.toml"))
    (bare / "us1.toml").write_text("slots = 3\n")
    (bare / "eu1.toml").write_text("slots = 2\n")
    assert (load(region="us1").slots, load().slots) == (3, 2)
    assert load(regions="us1,eu1").slots == 3  # what they share is the first one's
    monkeypatch.setenv("SOTTOVOCE_REGION", "us1")
    assert load().slots == 3
    with pytest.raises(ValueError, match=r"does not exist: .*au1\.toml"):
        load(region="au1")


def test_a_plan_has_the_regions_roles_and_number() -> None:
    assert bootstrap.plan(load(region="au1", device="cpu")).roles == {"api", "batch"}
    assert bootstrap.plan(load(region="au1", device="cpu")).region_number == 3
    with pytest.raises(ValueError, match="region au1 has no realtime"):
        bootstrap.plan(load(region="au1", roles="api,realtime"))


def test_an_own_region_may_be_for_batch_alone() -> None:
    own = load(region="den1", region_number="40", region_modes="batch", device="cpu")
    assert bootstrap.plan(own).roles == {"api", "batch"}


def served(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["serve", "--regions", *arguments])


def refused(why: str, *arguments: str) -> None:
    result = served(*arguments)
    assert result.exit_code in {1, 2}, result.output
    assert why in result.output


def test_what_cannot_work_is_said_before_anything_is_started(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused("exclude each other", "eu1,us1", "--region", "eu1")
    refused("region au1 has no realtime", "eu1,au1", "--roles", "api,batch,realtime")
    refused("region den1 needs SOTTOVOCE_REGION_NUMBER", "eu1,den1")
    refused("there is no port 65536 for region us1", "eu1,us1", "--port", "65535")
    monkeypatch.setenv("SOTTOVOCE_REGION_NUMBER", "7")
    refused("regions eu1 and us1 have the same SOTTOVOCE_REGION_NUMBER", "eu1,us1")
    monkeypatch.delenv("SOTTOVOCE_REGION_NUMBER")
    monkeypatch.setenv("SOTTOVOCE_DATABASE_URL", "postgresql://db.example/one")
    refused("with several regions it must contain {region}", "eu1,us1")
    assert not (bare / "data").exists()


def test_a_taken_port_is_said_before_anything_is_started(bare: Path) -> None:
    with bound("127.0.0.1", 0) as taken:
        taken.listen()
        refused("Address already in use", "eu1", "--port", str(taken.getsockname()[1]))
    assert not (bare / "data").exists()
