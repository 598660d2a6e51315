"""The items of live finals and partials: the formatting stages of batch, and marks and capitals for engines that set none.

Each final is formatted by itself, so a rule for several words applies only to words that become final together. The rules of
entities see the words of the finals before.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sottovoce.audio.activity import VolumeTrack
from sottovoce.pipeline import stages
from sottovoce.request import LiveRequest, TranscriptionRequest
from sottovoce.transcript import replacements
from sottovoce.transcript.entities.items import as_words, entities
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import Entity, Item, Mark, Samples, Word

_BEFORE = 8  # final items that the rules of entities see before the next ones: `my number is`


def as_batch(request: LiveRequest) -> TranscriptionRequest:
    """Return the parts of *request* that the formatting stages read."""
    return TranscriptionRequest(
        language=request.language,
        operating_point=request.operating_point,
        output_locale=request.output_locale,
        domain=request.domain,
        additional_vocab=request.additional_vocab,
        punctuation=request.punctuation,
        enable_entities=request.enable_entities,
        remove_disfluencies=request.remove_disfluencies,
        replacements=request.replacements,
        audio_filtering=request.audio_filtering,
    )


class LiveFormatter:
    """Formats one channel. *punctuated*: the engine sets marks and capitals. *volume*: of the audio, if words get volumes."""

    def __init__(
        self,
        request: LiveRequest,
        pack: LanguagePack,
        *,
        punctuated: bool,
        volume: VolumeTrack | None,
        failed: Callable[[str, Exception], None],
    ) -> None:
        self._pack = pack
        self._punctuated = punctuated
        self.volume = volume
        self._failed = failed
        self._opens = True  # the next word begins a sentence
        self._before: tuple[Item, ...] = ()  # the newest final items, as the engine returned them
        self.configure(request)

    def configure(self, request: LiveRequest) -> None:
        """Use the settings of *request* for the items that follow."""
        self._request = as_batch(request)
        self._rules = replacements.compile_rules(self._request.replacements)

    def final(self, items: tuple[Item, ...], end: Samples, *, closing: bool) -> tuple[Item, ...]:
        """Return the final form of *items*, which end at *end*. *closing*: the utterance ends with them."""
        if not self._punctuated:
            items = self._capitalised(items)
            if closing and items and not self._opens:
                items = (*items, self._stop(items[-1]))
        formatted = self._formatted(items, end)
        self._before = (*self._before, *items)[-_BEFORE:]
        for item in formatted:
            self._opens = item.ends_sentence if isinstance(item, Mark) else False
        if closing:
            self._opens = True
        return formatted

    def close(self, at: Samples) -> tuple[Item, ...]:
        """Return the mark of an utterance that ends at *at* without further words; empty if it has its mark."""
        if self._punctuated or self._opens:
            self._opens = True
            return ()
        return self.stop(at)

    def stop(self, at: Samples) -> tuple[Item, ...]:
        """Return the mark of a sentence that ends at *at*; empty if the request permits none."""
        self._opens = True
        return self._formatted(
            (Mark(text=self._pack.stops[0], at=at, ends_sentence=True, language=self._pack.code),), at
        )

    def partial(self, items: tuple[Item, ...], end: Samples) -> tuple[Item, ...]:
        """Return *items* as they would look if they were final now."""
        if not self._punctuated:
            items = self._capitalised(items, remember=False)
        return self._formatted(items, end)

    def whole(self, items: Sequence[Item], count: int) -> int:
        """Return how many of the first *count* of *items* divide no entity, and none that may go on with the next words.

        A mark at the end counts for nothing: Whisper ends each hypothesis with a full stop, and takes it back when speech goes on.
        """
        words = [entry.content for entry in self._request.additional_vocab]
        known, size = len(self._before), len(items)
        while size and isinstance(items[size - 1], Mark):
            size -= 1
        found = entities([*self._before, *items[:size]], self._pack, words, known)
        open_from = found.open_from - known
        divided = (span.first - known for span in found.spans if span.first - known < count < span.last - known)
        return min(next(divided, count), len(items) if open_from >= size else open_from)

    def _formatted(self, items: tuple[Item, ...], end: Samples) -> tuple[Item, ...]:
        scene = stages.StageContext(
            request=self._request, pack=self._pack, end=end, punctuated=True, rules=self._rules, before=self._before
        )
        found = stages.run_stages(items, scene, self._failed)
        if not self._request.enable_entities:
            found = tuple(as_words(found))
        return tuple(map(self._with_volume, found)) if self._request.audio_filtering else found

    def _with_volume(self, item: Item) -> Item:
        if self.volume is not None and isinstance(item, Word | Entity):
            return replace(item, volume=round(self.volume.volume(item.start, item.end), 2))
        return item

    def _capitalised(self, items: tuple[Item, ...], *, remember: bool = True) -> tuple[Item, ...]:
        opens = self._opens
        found: list[Item] = []
        for item in items:
            if isinstance(item, Word):
                text = item.text
                if opens or text == "i" or text.startswith("i'"):
                    text = text[:1].upper() + text[1:]
                found.append(replace(item, text=text))
                opens = False
            else:
                opens = isinstance(item, Mark) and item.ends_sentence
                found.append(item)
        if remember:
            self._opens = opens
        return tuple(found)

    def _stop(self, last: Item) -> Mark:
        return Mark(text=self._pack.stops[0], at=last.end, ends_sentence=True, language=self._pack.code)
