"""Empties the catalogue's table of sizes and checksums, for tests with made-up files under names of the catalogue."""

from pathlib import Path

import pytest

from sottovoce.engines.models import known_files

EMPTIED = "from sottovoce.engines.models import known_files; known_files.FILES.clear()\n"
"""The first line of a program that empties the table in its process."""


def empty_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty the table in this process until the test ends."""
    monkeypatch.setattr(known_files, "FILES", {})


def emptied_for_children(folder: Path) -> dict[str, str]:
    """The environment of programs that must have an empty table; *folder* is a folder of the test."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(EMPTIED, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}
