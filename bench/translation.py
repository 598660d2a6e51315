"""Translation by chrF (Popović 2015): Whisper into English on recordings, Apertium on texts, as far as they are installed.

chrF is the F score (beta 2) of the n-grams of 1 to 6 characters without blanks, over the whole set, in percent.
"""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.translation_texts import CLIPS, PAIRS
from sottovoce.audio import media
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.intelligence.protocols import Scene, Sentence
from sottovoce.intelligence.stages import StageName
from sottovoce.intelligence.translation import translated
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import RATE, Samples, Transcript

LONGEST, BETA = 6, 2.0


def chrf(found: Sequence[str], wanted: Sequence[str]) -> float:
    """The score of *found* against one reference for each, 0..100."""
    scores = []
    for size in range(1, LONGEST + 1):
        hits = given = asked = 0
        for one, other in zip(found, wanted, strict=True):
            ours, theirs = _grams(one, size), _grams(other, size)
            hits += (ours & theirs).total()
            given, asked = given + ours.total(), asked + theirs.total()
        precision, recall = hits / max(1, given), hits / max(1, asked)
        both = BETA**2 * precision + recall
        scores.append((1 + BETA**2) * precision * recall / both if both else 0.0)
    return round(100 * sum(scores) / LONGEST, 1)


def _grams(text: str, size: int) -> Counter[str]:
    whole = "".join(text.split())
    return Counter(whole[at : at + size] for at in range(len(whole) - size + 1))


def translation(engine_config: EngineConfig, audio: Path) -> dict[str, Any]:
    """The report; what is not installed or not there is named in `left_out`."""
    report: dict[str, Any] = {"left_out": []}
    for source, target in (("en", "es"), ("es", "en")):
        texts = [pair if source == "en" else pair[::-1] for pair in PAIRS]
        sentences = [(text, 0, 0) for text, _ in texts]
        made = _by("apertium", engine_config, (source, target), sentences, Path("none"))
        if made is None:
            report["left_out"].append(f"apertium {source}-{target}: run `apt-get install apertium-eng-spa`")
            continue
        found, seconds = made
        report[f"apertium {source}-{target}"] = {
            "sentences": len(texts),
            "chrf": chrf(found, [wanted for _, wanted in texts]),
            "chrf_untranslated": chrf([text for text, _ in texts], [wanted for _, wanted in texts]),
            "seconds": seconds,
        }
    for name, language, wanted in CLIPS:
        path = audio / name
        length = sum(len(block[0]) for block in media.decode(path)) if path.is_file() else 0
        made = _by("whisper", engine_config, (language, "en"), [("-", 0, length)], path) if length else None
        if made is None:
            report["left_out"].append(f"whisper {language}-en: no multilingual model, or no {path}")
            continue
        found, seconds = made
        report[f"whisper {language}-en"] = {
            "audio_seconds": round(length / RATE, 1), "chrf": chrf(found, [wanted]), "seconds": seconds, "text": found[0],
        }  # fmt: skip
    return report


def _by(
    engine: str,
    engine_config: EngineConfig,
    pair: tuple[str, str],
    said: Sequence[tuple[str, Samples, Samples]],
    path: Path,
) -> tuple[list[str], float] | None:
    """The translation of *said* (text, start, end) by the best model of *engine*, and its seconds; None if there is none."""
    source, target = pair
    offers = tuple(entry for entry in registry.offered(engine_config) if entry.engine == engine)
    choice = registry.choose_stage(StageName.TRANSLATION, source, offers, target)
    if choice is None:
        return None
    backend = registry.load(StageName.TRANSLATION, choice.key, engine_config)
    sentences = tuple(
        Sentence(id=number, start=start, end=end, text=text, words=len(text.split()), language=source)
        for number, (text, start, end) in enumerate(said)
    )
    scene = Scene(
        transcript=Transcript(language=source, duration=max(end for _, _, end in said), created_at=0),
        sentences=sentences,
        request=TranscriptionRequest(language=source),
        path=path,
        alive=lambda: None,
        part=target,
    )
    begun = time.monotonic()
    return translated(scene, backend, target), round(time.monotonic() - begun, 2)
