"""The labels of AudioSet, and the contract's audio events that they mean."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

EVENTS: Mapping[str, frozenset[str]] = {
    "applause": frozenset({"Applause", "Clapping"}),
    "laughter": frozenset({"Laughter", "Giggle", "Snicker", "Belly laugh", "Chuckle, chortle", "Baby laughter"}),
    "music": frozenset({"Music", "Background music", "Theme music", "Soundtrack music", "Jingle (music)"}),
}
"""Names of AudioSet's ontology by type of event."""


def read(folder: Path) -> tuple[str, ...]:
    """The labels in the one CSV file of *folder*, by their index. Raises ValueError.

    The file has a column `display_name`, as those that come with AudioSet, YAMNet and PANNs (`class_labels_indices.csv`).
    """
    found = sorted(folder.glob("*.csv"))
    if len(found) != 1:
        raise ValueError(f"it needs one CSV file with the labels, and has {len(found)}")
    with found[0].open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    names = tuple(row.get("display_name") or "" for row in rows)
    if not names or not all(names):
        raise ValueError(f"{found[0].name} lacks the column display_name, or a value in it")
    return names


def columns(labels: Sequence[str]) -> dict[str, list[int]]:
    """The indices of the labels that mean each event; events without a label are left out."""
    found = {kind: [at for at, label in enumerate(labels) if label in names] for kind, names in EVENTS.items()}
    return {kind: indices for kind, indices in found.items() if indices}
