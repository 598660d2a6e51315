"""For tests whose models have made-up bytes under names of the catalogue: its table of sizes and checksums is emptied."""

from pathlib import Path

import pytest

from sottovoce.engines.models import known_files

EMPTIED = "from sottovoce.engines.models import known_files; known_files.FILES.clear()\n"
"""The same for a program: its first line."""


def empty_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, until the test ends."""
    monkeypatch.setattr(known_files, "FILES", {})


def emptied_for_children(folder: Path) -> dict[str, str]:
    """The environment with which programs that are started have an empty table; *folder* is one of the test's own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(EMPTIED, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}
