import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sottovoce.service.storage.data_folder import DataFolder, FolderInUse
from tests.servers import until


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(root=tmp_path / "data", region="eu1")
    made.prepare()
    return made


def test_everything_lies_below_the_root_and_jobs_below_the_region(folder: DataFolder) -> None:
    for path in (folder.region_database, folder.blobs, folder.scratch):
        assert path.is_relative_to(folder.root / "eu1")
    for path in (folder.control_database, folder.secrets_key, folder.api_key):
        assert path.parent == folder.root


def test_folders_are_private_and_may_exist_already(folder: DataFolder) -> None:
    folder.prepare()
    for path in (folder.root, folder.home, folder.blobs, folder.scratch):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_second_server_is_kept_out_and_another_region_is_not(folder: DataFolder) -> None:
    held = folder.lock()
    with pytest.raises(FolderInUse, match="eu1"):
        folder.lock()
    other = DataFolder(root=folder.root, region="us1")
    other.prepare()
    os.close(other.lock())
    os.close(held)
    os.close(folder.lock())


def test_kill_9_lets_go_of_the_lock(folder: DataFolder) -> None:
    code = (
        "import sys, time; from pathlib import Path; from sottovoce.service.storage.data_folder import DataFolder\n"
        "DataFolder(root=Path(sys.argv[1]), region='eu1').lock(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder.root)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse):
            folder.lock()
        other.kill()
    os.close(folder.lock())


def test_the_lock_is_not_handed_down_to_children(folder: DataFolder) -> None:
    held = folder.lock()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False) as child:
        os.close(held)
        os.close(until(lambda: _taken(folder), "free lock"))  # a moment after its birth a child still has everything
        child.kill()


def _taken(folder: DataFolder) -> int | None:
    try:
        return folder.lock()
    except FolderInUse:
        return None


def test_wiping_takes_everything_but_what_links_lead_to(folder: DataFolder, tmp_path: Path) -> None:
    (folder.scratch / "job-1" / "deep").mkdir(parents=True)
    (folder.scratch / "job-1" / "deep" / "file").write_text("x")
    (folder.scratch / "file").write_text("x")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    (folder.scratch / "link").symlink_to(kept)
    (folder.scratch / "broken").symlink_to(tmp_path / "nowhere")
    folder.wipe_scratch()
    assert list(folder.scratch.iterdir()) == []
    assert (kept / "file").exists()
