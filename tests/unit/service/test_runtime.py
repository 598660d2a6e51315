import asyncio
import gc
import logging
import threading
from pathlib import Path

import pytest

from sottovoce.service import runtime
from sottovoce.service.identity import api_keys
from sottovoce.service.jobs import repository
from sottovoce.service.plan import Plan
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.data_folder import DataFolder, FolderInUse
from sottovoce.service.storage.encryption import new_key, replace_keys
from tests.servers import until
from tests.unit.service.service_values import new_job


def plan(folder: Path, **changes: object) -> Plan:
    values: dict[str, object] = {
        "folder": DataFolder(root=folder, region="eu1"),
        "region_number": 1,
        "roles": frozenset(),
    }
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


def started(folder: Path, **changes: object) -> Runtime:
    made = Runtime(plan(folder, **changes))
    made.start()
    return made


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def works(made: Runtime, secret: str) -> bool:
    with made.control.reading() as connection:
        return api_keys.caller(connection, api_keys.digest(secret)) is not None


def test_the_first_start_makes_a_key_and_the_next_keeps_it(tmp_path: Path) -> None:
    first = started(tmp_path)
    kept = (tmp_path / "api-key").read_text().strip()
    assert first.first_key == kept
    assert works(first, kept)
    first.close()
    again = started(tmp_path)
    assert again.first_key is None
    assert works(again, kept)
    assert (tmp_path / "api-key").read_text().strip() == kept
    again.close()


def test_a_kill_between_file_and_commit_leaves_no_key_that_lies(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("written-before-the-kill\n")
    made = started(tmp_path)
    assert made.first_key == "written-before-the-kill"
    assert works(made, "written-before-the-kill")
    made.close()


def test_a_given_key_is_taken_and_replaces_an_old_file(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("of-another-database\n")
    made = started(tmp_path, first_key="given-by-the-operator")
    assert works(made, "given-by-the-operator")
    assert not works(made, "of-another-database")
    assert (tmp_path / "api-key").read_text() == "given-by-the-operator\n"
    made.close()


def test_a_start_that_fails_takes_everything_down_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set(threading.enumerate())
    gc.collect()  # what earlier tests left shall not go away in the middle of this one
    files = open_files()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("late")

    monkeypatch.setattr(runtime, "JobSubmitter", fail)
    with pytest.raises(RuntimeError, match="late"):
        started(tmp_path)
    until(lambda: set(threading.enumerate()) <= threads, "end of the threads")
    until(lambda: open_files() <= files, "end of the files")
    monkeypatch.undo()
    started(tmp_path).close()


def test_a_second_server_is_kept_out_before_it_touches_anything(tmp_path: Path) -> None:
    first = started(tmp_path)
    left = tmp_path / "eu1" / "tmp" / "at-work"
    left.write_text("x")
    with pytest.raises(FolderInUse):
        started(tmp_path)
    assert left.exists()
    first.close()


def test_a_database_of_the_operators_is_not_migrated_behind_their_back(tmp_path: Path) -> None:
    made = Runtime(plan(tmp_path, database_url="postgresql://nobody@127.0.0.1:9/none"))
    with pytest.raises(Exception, match=r"(?i)connection"):
        made.start()


def readiness(made: Runtime) -> dict[str, bool]:
    return asyncio.run(made._check_parts())


def test_a_disk_without_the_reserve_is_not_ready_where_media_are_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ready = {"database": True, "blobs": True, "keys": True, "disk": True, "engines": True}
    for roles, room in (({"api"}, False), (set(), True)):
        with caplog.at_level(logging.WARNING):
            made = started(tmp_path, roles=frozenset(roles), reserve=1 << 60)
        try:
            assert readiness(made) == ready | {"disk": room, "engines": "api" in roles}
            assert ("no room for media" in caplog.messages) is not room
            assert (made.no_room is None) is room
        finally:
            made.close()
        caplog.clear()


def test_another_file_of_keys_under_a_running_server_is_not_ready(tmp_path: Path) -> None:
    made = started(tmp_path)
    try:
        with made.database.writing() as connection:
            repository.insert(connection, new_job(config=made.encryptor.encrypt(b"{}")))
        assert readiness(made)["keys"]
        replace_keys(tmp_path / "secrets.key", [new_key()])
        assert not readiness(made)["keys"]
    finally:
        made.close()
