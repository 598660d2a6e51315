"""The map of the code names what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SOURCE = ROOT / "src" / "sottovoce"
PATH = re.compile(r"`((?:[a-z0-9_]+/)+(?:[a-z0-9_]+\.py)?|[a-z0-9_]+\.py)`")
ROOMS = {path.name for path in (SOURCE / "service").iterdir() if path.is_dir() and path.name != "__pycache__"}


def named() -> list[str]:
    return sorted(set(PATH.findall(PAGE)))


def test_the_page_names_paths() -> None:
    assert len(named()) > 50


@pytest.mark.parametrize("path", named())
def test_what_the_page_names_is_there(path: str) -> None:
    """A path from the top of the package, or the name of a file or folder that is unique enough to be found in a room."""
    if "/" in path.rstrip("/") or (SOURCE / path).exists():
        assert (SOURCE / path).exists()
    else:
        assert list(SOURCE.rglob(path.rstrip("/"))), path


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_room_of_the_service_has_its_line(room: str) -> None:
    assert f"`{room}/`" in PAGE


@pytest.mark.parametrize(
    "part", sorted(path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__")
)
def test_every_part_has_its_line(part: str) -> None:
    assert f"| `{part}/` |" in PAGE


def test_no_folder_is_crowded_and_no_module_is_long() -> None:
    for folder in {path.parent for path in SOURCE.rglob("*.py")}:
        assert len(list(folder.glob("*.py"))) <= 15, folder
    for path in SOURCE.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, path
