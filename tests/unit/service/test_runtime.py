import gc
import threading
from pathlib import Path

import pytest

from sottovoce.service import runtime
from sottovoce.service.identity import api_keys
from sottovoce.service.plan import Plan
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.data_folder import DataFolder, FolderInUse
from tests.servers import until


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


def test_a_region_with_jobs_does_not_make_a_control_database_anew(tmp_path: Path) -> None:
    """Else its keys would be worthless, and its jobs nobody's."""
    started(tmp_path).close()
    (tmp_path / "control.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(FileNotFoundError, match="restore it from the backup"):
        started(tmp_path)
    assert not (tmp_path / "control.db").exists()
    (tmp_path / "elsewhere.db").rename(tmp_path / "control.db")
    started(tmp_path).close()
