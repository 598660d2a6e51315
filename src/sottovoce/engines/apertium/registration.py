"""The engine of Apertium: an offer for each source language that the installed modes translate."""

import re
import shutil
from pathlib import Path

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.protocols import Capabilities
from sottovoce.intelligence.stages import StageName

APERTIUM = "apertium"
GRADE = 25
"""Below translation models and large Whisper models, above small ones (research: chrF 56.7 for English to Spanish)."""
CODES = {
    "bel": "be", "bul": "bg", "cat": "ca", "cym": "cy", "dan": "da", "eng": "en", "epo": "eo", "eus": "eu", "fra": "fr",
    "gle": "ga", "glg": "gl", "ita": "it", "mlt": "mt", "nob": "no", "por": "pt", "ron": "ro", "rus": "ru", "spa": "es",
    "swe": "sv", "ukr": "uk",
}  # fmt: skip
"""Apertium's codes and the contract's."""
MODES = (Path("/usr/share/apertium/modes"), Path("/usr/local/share/apertium/modes"))
_MODE = re.compile(r"([a-z]{2,3})-([a-z]{2,3})\.mode")


def modes(folders: tuple[Path, ...] = MODES) -> dict[tuple[str, str], str]:
    """The names of the installed modes by source and target language."""
    found: dict[tuple[str, str], str] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.mode"))):
        match = _MODE.fullmatch(path.name)
        source, target = (CODES.get(code) for code in match.groups()) if match else (None, None)
        if source and target:
            found.setdefault((source, target), path.stem)
    return found


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    del engine_config  # nothing depends on it
    pairs = modes() if shutil.which(APERTIUM) else {}
    return tuple(
        Capabilities(
            engine=APERTIUM,
            model=source,
            languages=frozenset({source}),
            targets=frozenset(target for other, target in pairs if other == source),
            skills=frozenset({StageName.TRANSLATION}),
            grade=GRADE,
        )
        for source in sorted({source for source, _ in pairs})
    )


def _load(model: str, device: str, engine_config: EngineConfig) -> object:
    del device, engine_config  # it runs on the CPU
    from sottovoce.engines.apertium.translator import ApertiumTranslator

    return ApertiumTranslator(model, modes())


ENGINE = Engine(name=APERTIUM, package="", offers=_offers, loaders={StageName.TRANSLATION: _load})
