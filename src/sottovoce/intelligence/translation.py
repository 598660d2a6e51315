"""Translation of each sentence of a transcript, into each target language by a run of its own (contract §7.5)."""

from collections.abc import Sequence
from typing import Any, Protocol

from sottovoce.intelligence.protocols import Scene, Sentence, Stage
from sottovoce.transcript.model import UNKNOWN_SPEAKER, seconds

MOST = 20
"""A translation has at most this many times the characters of its sentence, and `SPARE` more: longer ones are runaways."""
SPARE = 200


class TranslationBackend(Protocol):
    """Sentences to sentences of another language."""

    @property
    def languages(self) -> frozenset[str]:
        """The contract's codes of the languages from which it translates; empty: any."""
        ...

    @property
    def targets(self) -> frozenset[str]:
        """The contract's codes of the languages into which it translates, each from each of `languages`."""
        ...

    def translate(self, scene: Scene, target: str) -> Sequence[str]:
        """Return the text of each of `scene.sentences` in *target*, in order; empty for one that cannot be translated."""
        ...


def _run(scene: Scene, backend: TranslationBackend) -> object:
    if not scene.sentences:
        return []
    texts = translated(scene, backend, scene.part)
    if not any(texts):
        raise ValueError(f"no translations for {len(scene.sentences)} sentences")
    return [_shown(sentence, text) for sentence, text in zip(scene.sentences, texts, strict=True)]


def translated(scene: Scene, backend: TranslationBackend, target: str) -> list[str]:
    """Return each of `scene.sentences` in *target*, each on one line. Raises ValueError for an impossible answer."""
    texts = [" ".join(text.split()) for text in backend.translate(scene, target)]
    if len(texts) != len(scene.sentences):
        raise ValueError(f"{len(texts)} translations for {len(scene.sentences)} sentences")
    for sentence, text in zip(scene.sentences, texts, strict=True):
        if len(text) > MOST * len(sentence.text) + SPARE:
            raise ValueError(f"{len(text)} characters for a sentence of {len(sentence.text)}")
    return texts


def _same(scene: Scene) -> object:
    """Return the sentences of the transcript if its language is the target, else None (contract §7.5)."""
    if scene.part != scene.language:
        return None
    return [_shown(sentence, sentence.text) for sentence in scene.sentences]


def _shown(sentence: Sentence, text: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "start_time": seconds(sentence.start),
        "end_time": seconds(sentence.end),
        "content": text,
        "speaker": sentence.speaker or UNKNOWN_SPEAKER,
    }
    if sentence.channel is not None:
        body["channel"] = sentence.channel
    return body


STAGE = Stage(
    name="translation",
    feature="translation",
    asked=lambda request: bool(request.translation_targets),
    run=_run,
    unsupported="Translation from {language} to {part} currently not supported",
    unsupported_type="unsupported_translation_pair",
    failed="Translation from {language} to {part} failed.",
    parts=lambda request: request.translation_targets,
    direct=_same,
)
