"""Translates sentences with a CTranslate2 model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sottovoce.engines.marian.pieces import Pieces, text_of
from sottovoce.intelligence.protocols import Scene

END = "</s>"
BATCH = 16
"""Sentences that are translated together; between two batches the stage shows that it lives."""
BEAM = 4
MOST = 256
"""Pieces of one sentence: the positions of OPUS-MT end at 512."""


class MarianTranslator:
    """The model in *folder*. *codes*: the model's tokens by language, empty for a model of one pair.

    *in_target*: NLLB begins the source with the source's token and the translation with the target's; else the source begins
    with the target's.
    """

    def __init__(
        self,
        folder: Path,
        languages: frozenset[str],
        targets: frozenset[str],
        *,
        codes: Mapping[str, str],
        in_target: bool = False,
        device: str = "cpu",
        compute_type: str = "auto",
        threads: int = 1,
    ) -> None:
        import ctranslate2

        self.languages = languages
        self.targets = targets
        self._codes = codes
        self._tokens = frozenset(codes.values())
        self._in_target = in_target
        self._pieces = Pieces(folder)
        self._adds_end = _adds_end(folder)
        name, _, number = device.partition(":")
        kind = ("int8" if name == "cpu" else "float16") if compute_type == "auto" else compute_type
        self._model: Any = ctranslate2.Translator(
            str(folder), device=name, device_index=int(number or 0), compute_type=kind, intra_threads=threads
        )

    def translate(self, scene: Scene, target: str) -> Sequence[str]:
        """Return each sentence in *target*."""
        texts = [each.text for each in scene.sentences]
        found: list[str] = []
        for at in range(0, len(texts), BATCH):
            found += self._translated(texts[at : at + BATCH], scene.language, target)
            scene.alive()
        return found

    def _translated(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        first = self._codes.get(source if self._in_target else target)
        end = [] if self._adds_end else [END]
        pieces = [[*([first] if first else []), *each[:MOST], *end] for each in self._pieces.encode(texts)]
        prefix = [[self._codes[target]]] * len(texts) if self._in_target else None
        results = self._model.translate_batch(
            pieces, target_prefix=prefix, beam_size=BEAM, max_decoding_length=MOST, repetition_penalty=1.1
        )
        return [text_of(result.hypotheses[0], self._tokens) for result in results]


def _adds_end(folder: Path) -> bool:
    """True if the model adds the end of a sentence itself, as models do that were converted from Marian's own format."""
    try:
        settings = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("add_source_eos") is True
