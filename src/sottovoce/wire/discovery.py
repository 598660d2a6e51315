"""What a server can do, and which regions there are: for who has no key yet (contract `batch-v2.md` §12, `realtime.md` §12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sottovoce.transcript.languages import pack

VERSION = "latest"
"""The only version that an entry has (§12)."""

LOCALES: Mapping[str, Mapping[str, str]] = {
    "en": {"en-AU": "Australian English", "en-GB": "British English", "en-US": "American English"},
    "cmn": {"cmn-Hans": "Simplified Mandarin", "cmn-Hant": "Traditional Mandarin"},
}
"""Spellings of a language that the contract knows (§6.2), with names for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What one mode covers: language codes, the locales that some of them can be spelled as, and what can be identified."""

    languages: Sequence[str]
    locales: Mapping[str, Sequence[str]] = field(default_factory=dict)
    identified: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionInfo:
    """A region as it is shown. *modes* `None`: not known here. *url* `None`: nobody said where it is."""

    name: str
    label: str
    place: str | None
    modes: Sequence[str] | None
    url: str | None


def locales(language: str, spelled: Sequence[str]) -> list[str]:
    """Those of *spelled* that *language*, or a part of a bilingual one, has."""
    return [name for part in language.split("_") for name in LOCALES.get(part, {}) if name in spelled]


def features(*, batch: Coverage | None, realtime: Coverage | None) -> dict[str, Any]:
    """The body of `GET /v1/discovery/features`; a mode that this region lacks is not there."""
    covered = [coverage for coverage in (batch, realtime) if coverage is not None]
    codes = sorted({code for coverage in covered for code in coverage.languages})
    spelled = {code: names for coverage in covered for code, names in coverage.locales.items()}
    body: dict[str, Any] = {
        "metadata": {"language_pack_info": {code: _pack_info(code, spelled.get(code, ())) for code in codes}}
    }
    if batch is not None:
        identified = list(batch.identified)
        # the page spells the last member one way and the JavaScript types another (§12, Inferred)
        body["batch"] = {**_mode(batch), "languageid": identified, "languageId": identified}
    if realtime is not None:
        body["realtime"] = _mode(realtime)
    return body


def _pack_info(code: str, spelled: Sequence[str]) -> dict[str, Any]:
    names = {name: each for part in code.split("_") for name, each in LOCALES.get(part, {}).items()}
    return {
        "language_description": pack(code).description,
        "locales": {name: {"name": names.get(name, name)} for name in spelled},
    }


def _mode(coverage: Coverage) -> dict[str, Any]:
    transcription = {
        "version": VERSION,
        "languages": list(coverage.languages),
        "locales": {code: list(names) for code, names in coverage.locales.items() if names},
        "domains": {},
    }
    return {"transcription": [transcription], "translation": [{"version": VERSION, "languages": {}}]}


def regions(here: str, places: Sequence[RegionInfo]) -> dict[str, Any]:
    """The body of `GET /v1/regions`, our own: *here* is the region whose address was called."""
    return {
        "region": here,
        "regions": [
            {
                "name": place.name,
                "label": place.label,
                "place": place.place,
                "modes": None if place.modes is None else list(place.modes),
                "url": place.url,
                "here": place.name == here,
            }
            for place in places
        ],
    }
