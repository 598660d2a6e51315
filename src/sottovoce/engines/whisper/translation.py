"""Decodes a window with Whisper's own translate task: English text, whatever is spoken.

Attention follows the order of the speech, a translation does not: many of its words get no duration, or that of other words
(measured with Whisper base on German and French). So the words are spread over the speech of the window, and no part of the
window is decoded again for want of words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sottovoce.audio.activity import Span
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.whisper import hallucination
from sottovoce.engines.whisper.decoder import Clip, Decoder, Task
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.transcript.model import Samples

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Sampling temperatures of the decodes after the first one, in order (openai/whisper, `transcribe`)."""


def translated(decoder: Decoder, clip: Clip, task: Task, first: Hypothesis | None = None) -> list[HypothesisWord]:
    """The English words of *clip*, without invented ones. *first*: the result of the first decode, if already done."""
    hypothesis = _spread(first or decoder.decode([clip], task)[0], clip)
    for temperature in TEMPERATURES:
        if not hallucination.needs_fallback(hypothesis):
            break
        other = decoder.decode([clip], task, temperature=temperature)[0]
        hypothesis = hallucination.pick_decode(hypothesis, _spread(other, clip))
    return list(hallucination.filter_words(hypothesis))


def _spread(hypothesis: Hypothesis, clip: Clip) -> Hypothesis:
    """*hypothesis* with its words one after another in the speech of *clip*, each as long as its share of the letters."""
    runs = clip.voiced or (Span(start=0, end=clip.length),)
    return replace(hypothesis, words=tuple(_placed(hypothesis.words, runs)))


def _placed(words: Sequence[HypothesisWord], runs: Sequence[Span]) -> Iterator[HypothesisWord]:
    lengths = [len(comparison_key(word.text)) + 1 for word in words]
    speech, letters, before = sum(run.end - run.start for run in runs), sum(lengths), 0
    for word, length in zip(words, lengths, strict=True):
        start = _in_runs(speech * before // letters, runs, after=True)
        before += length
        yield replace(word, start=start, end=max(start, _in_runs(speech * before // letters, runs, after=False)))


def _in_runs(at: Samples, runs: Sequence[Span], *, after: bool) -> Samples:
    """The sample at which *at* samples of speech are over; between two runs, the start of the next one if *after*."""
    for run in runs:
        length = run.end - run.start
        if at < length or (at == length and not after):
            return run.start + at
        at -= length
    return runs[-1].end
