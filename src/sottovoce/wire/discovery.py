"""The features of a server and the list of regions, readable without a key (contract `batch-v2.md` §12, `realtime.md` §12)."""

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
"""The output locales of the contract (§6.2) by language, with their display names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The languages of one mode: their codes, the output locales and domains of some, and those that can be identified."""

    languages: Sequence[str]
    locales: Mapping[str, Sequence[str]] = field(default_factory=dict)
    identified: Sequence[str] = ()
    domains: Mapping[str, Sequence[str]] = field(default_factory=dict)
    translations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The target languages by source language."""
    stages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The languages of the other stages of speech intelligence, by the name of their error lists (§7.3), and the audio events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionInfo:
    """A region as the API shows it. *modes* `None`: unknown. *url* `None`: not configured."""

    name: str
    label: str
    place: str | None
    modes: Sequence[str] | None
    url: str | None


def locales(language: str, spelled: Sequence[str]) -> list[str]:
    """The locales in *spelled* that belong to *language*, or to a part of a bilingual one."""
    return [name for part in language.split("_") for name in LOCALES.get(part, {}) if name in spelled]


def features(*, batch: Coverage | None, realtime: Coverage | None) -> dict[str, Any]:
    """The body of `GET /v1/discovery/features`, without the modes that this region lacks (`None`)."""
    covered = [coverage for coverage in (batch, realtime) if coverage is not None]
    codes = sorted({code for coverage in covered for code in coverage.languages})
    spelled = {code: names for coverage in covered for code, names in coverage.locales.items()}
    body: dict[str, Any] = {
        "metadata": {"language_pack_info": {code: _pack_info(code, spelled.get(code, ())) for code in codes}}
    }
    if batch is not None:
        identified = list(batch.identified)
        # the documentation and the JavaScript types spell the last member differently (§12, Inferred)
        body["batch"] = {**_mode(batch), **_stages(batch), "languageid": identified, "languageId": identified}
    if realtime is not None:
        body["realtime"] = _mode(realtime)
    return body


def _stages(coverage: Coverage) -> dict[str, Any]:
    """The stages of speech intelligence, an addition of this service in the shape of the contract's members."""
    return {
        name: [{"version": VERSION, "types" if name == "audio_events" else "languages": list(found)}]
        for name, found in coverage.stages.items()
    }


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
        "domains": {code: list(names) for code, names in coverage.domains.items() if names},
    }
    translation = {
        "version": VERSION,
        "languages": {code: list(found) for code, found in coverage.translations.items()},
    }
    return {"transcription": [transcription], "translation": [translation]}


def regions(here: str, places: Sequence[RegionInfo]) -> dict[str, Any]:
    """The body of `GET /v1/regions`, an addition of this service; *here* is the region that answers."""
    return {
        "region": here,
        "regions": [
            {
                "name": region.name,
                "label": region.label,
                "place": region.place,
                "modes": None if region.modes is None else list(region.modes),
                "url": region.url,
                "here": region.name == here,
            }
            for region in places
        ],
    }
