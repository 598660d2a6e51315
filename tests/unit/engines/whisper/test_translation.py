"""The words of a translation lie in the speech of the window, one after another, whatever attention says."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.engines.whisper.decoder import Clip, Task
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.engines.whisper.translation import translated
from sottovoce.transcript.languages import pack
from tests.unit.engines.whisper.whisper_values import at, run, word, written

TASK = Task(pack=pack("en"), code="de", translate=True)


def hypothesis(words: Sequence[HypothesisWord], avg_logprob: float = -0.4, no_speech: float = 0.05) -> Hypothesis:
    text = " ".join(each.text for each in words)
    return Hypothesis(
        words=tuple(words), text=text, avg_logprob=avg_logprob, no_speech=no_speech, tokens=2 * len(words)
    )


class Script:
    """Gives the hypotheses in order, at rising temperatures."""

    def __init__(self, *found: Hypothesis) -> None:
        self.found = list(found)
        self.temperatures: list[float] = []

    def decode(self, clips: Sequence[Clip], task: Task, *, temperature: float = 0.0) -> list[Hypothesis]:
        assert task is TASK
        self.temperatures.append(temperature)
        return [self.found.pop(0) for _ in clips]


def clip(seconds: float, *voiced: tuple[float, float]) -> Clip:
    return Clip(audio=np.zeros(at(seconds), np.float32), voiced=tuple(run(*each) for each in voiced))


def heard(script: Script, part: Clip, first: Hypothesis | None = None) -> list[HypothesisWord]:
    return translated(script, part, TASK, first)  # type: ignore[arg-type]


def test_words_without_duration_are_kept_and_spread() -> None:
    """Attention gave ten words one instant: in a transcription they would be taken for invented."""
    words = [
        word(text, 2.0, 2.0, 0.6)
        for text in ["it", "is", "possible", "to", "see", "the", "whole", "beauty", "of", "them"]
    ]
    found = heard(Script(hypothesis(words)), clip(10, (0.5, 3.0), (5.0, 9.5)))
    assert written(found) == "it is possible to see the whole beauty of them"
    assert found[0].start == at(0.5)
    assert found[-1].end == at(9.5)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert not any(at(3.0) <= each.start < at(5.0) for each in found)


def test_an_unlikely_text_is_tried_at_higher_temperatures() -> None:
    script = Script(hypothesis([word("bad", 0, 1)], -1.5), hypothesis([word("good", 0, 1)]))
    assert written(heard(script, clip(2, (0, 2)))) == "good"
    assert script.temperatures == [0.0, 0.2]


def test_a_first_decode_is_not_repeated() -> None:
    script = Script()
    assert written(heard(script, clip(2), hypothesis([word("done", 0, 1)]))) == "done"


def test_a_loop_is_reduced() -> None:
    words = [word("again and", 0, 0, 0.3)] * 30
    found = heard(Script(*[hypothesis(words, -0.3)] * 6), clip(3, (0, 3)))
    assert len(found) < 5


@pytest.mark.parametrize("part", [clip(2), clip(2, (0.5, 0.5))])
def test_nothing_is_nothing(part: Clip) -> None:
    assert heard(Script(hypothesis([])), part) == []
