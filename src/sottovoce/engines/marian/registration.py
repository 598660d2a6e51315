"""The engine of translation models: an offer for each model that `SOTTOVOCE_TRANSLATION_MODELS` names."""

import re
from collections.abc import Iterable
from pathlib import Path

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.engines.marian.languages import MADLAD_CODES, NLLB_CODES
from sottovoce.engines.protocols import Capabilities
from sottovoce.intelligence.stages import StageName

MARIAN = "ctranslate2"
NLLB, MADLAD = "nllb", "madlad"
ONE_PAIR, MANY = 60, 50
"""Grades of a model for one pair, and of one for many languages."""
_PAIR = re.compile(r"([a-z]{2,3})-([a-z]{2,3})")


def directions(kind: str) -> tuple[frozenset[str], frozenset[str]]:
    """The source and target languages of a model of *kind*: `en-de`, `nllb` or `madlad`. Raises ValueError."""
    if kind in (NLLB, MADLAD):
        codes = frozenset(NLLB_CODES if kind == NLLB else MADLAD_CODES)
        return codes, codes
    match = _PAIR.fullmatch(kind)
    if match is None or not set(match.groups()) <= set(NLLB_CODES):
        raise ValueError(f"{kind!r} is not a pair of languages such as en-de, {NLLB} or {MADLAD}")
    return frozenset({match[1]}), frozenset({match[2]})


def parsed_models(pairs: Iterable[str]) -> tuple[tuple[str, Path], ...]:
    """`EngineConfig.translators` from *pairs* of the form `en-de=/folder`. Raises ValueError for an incomplete model."""
    found: dict[str, Path] = {}
    for pair in pairs:
        kind, _, folder = (part.strip() for part in pair.partition("="))
        directions(kind)
        if kind in found:
            raise ValueError(f"{kind} is named twice")
        if not folder or (wrong := fault(Path(folder))):
            raise ValueError(f"{kind}: {wrong if folder else 'the folder is missing, as in en-de=/models/opus-en-de'}")
        found[kind] = Path(folder).absolute()
    return tuple(found.items())


def fault(folder: Path) -> str | None:
    """What *folder* lacks to be a translation model; None if it is complete."""
    if not (folder / "model.bin").is_file():
        return "it lacks model.bin: convert the model with ct2-transformers-converter"
    texts = ("tokenizer.json", "source.spm", "spiece.model", "sentencepiece.model", "sentencepiece.bpe.model")
    if not any((folder / name).is_file() for name in texts):
        return f"it lacks a tokenizer ({', '.join(texts)})"
    return None


def _offers(engine_config: EngineConfig) -> tuple[Capabilities, ...]:
    found = []
    for kind, folder in engine_config.translators:
        if fault(folder) is None:
            sources, targets = directions(kind)
            found.append(
                Capabilities(
                    engine=MARIAN,
                    model=kind,
                    languages=sources,
                    targets=targets,
                    skills=frozenset({StageName.TRANSLATION}),
                    grade=MANY if kind in (NLLB, MADLAD) else ONE_PAIR,
                    device=engine_config.kind_of_device,
                )
            )
    return tuple(found)


def _load(model: str, device: str, engine_config: EngineConfig) -> object:
    from sottovoce.engines.marian.translator import MarianTranslator

    sources, targets = directions(model)
    return MarianTranslator(
        dict(engine_config.translators)[model],
        sources,
        targets,
        codes={NLLB: NLLB_CODES, MADLAD: MADLAD_CODES}.get(model, {}),
        in_target=model == NLLB,
        device=device,
        compute_type=engine_config.compute_type,
        threads=engine_config.threads,
    )


ENGINE = Engine(name=MARIAN, package="ctranslate2", offers=_offers, loaders={StageName.TRANSLATION: _load})
