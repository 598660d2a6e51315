"""A translator that does what its text says, loaded by the process of translations under its import name."""

import os
import time
from collections.abc import Sequence

from sottovoce.audio import media
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import Engine
from sottovoce.intelligence.protocols import Scene
from sottovoce.intelligence.stages import StageName
from sottovoce.transcript.model import RATE


class Odd:
    """Upper case, unless the text is one of the words below."""

    languages: frozenset[str] = frozenset()
    targets = frozenset({"de"})

    def translate(self, scene: Scene, target: str) -> Sequence[str]:
        """Translate, or do what the text says."""
        match scene.sentences[0].text:
            case "exit":
                os._exit(3)
            case "hang":
                time.sleep(600)
            case "slow":
                time.sleep(0.5)
            case "raise":
                raise ZeroDivisionError("the true cause")
            case "runaway":
                return ["x" * 5_000]
            case "loudness":
                import numpy as np

                (sentence,) = scene.sentences
                audio = np.concatenate([block[0] for block in media.decode(scene.path)])
                spoken = audio[sentence.start : sentence.end]
                return [f"{len(spoken) / RATE:.1f} s at {float(np.abs(spoken).mean()):.2f}"]
        return [each.text.upper() for each in scene.sentences]


def _load(model: str, device: str, engine_config: EngineConfig) -> Odd:
    return Odd()


ENGINE = Engine(name="odd", package="numpy", offers=lambda _: (), loaders={StageName.TRANSLATION: _load})
