"""The formatting stages together, on what engines with and without marks return."""

from collections.abc import Sequence

import pytest

from sottovoce.pipeline.stages import StageContext, run_stages
from sottovoce.request import PunctuationOverrides, TranscriptionRequest, VocabEntry
from sottovoce.transcript import replacements
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Item
from tests.unit.transcript.transcript_values import said

BARE = "um call five five five one two three four at eleven forty a m | it costs twenty five dollars | five people came"
WRITTEN = "Um , call 555-1234 at 11:40 a.m. It costs $25 . 5 people came ."


def formatted(items: Sequence[Item], *, punctuated: bool, **asked: object) -> str:
    request = TranscriptionRequest(language="en", **asked)  # type: ignore[arg-type]
    scene = StageContext(
        request=request, pack=pack("en"), end=10_000_000, punctuated=punctuated, rules=replacements.compile_rules(())
    )

    def failed(name: str, error: Exception) -> None:
        raise AssertionError(name) from error

    return join(run_stages(tuple(items), scene, failed), pack("en"))


def test_engines_with_words_and_with_digits_give_the_same_text() -> None:
    bare = formatted(said(BARE), punctuated=False, remove_disfluencies=True)
    assert bare == "Call 555-1234 at 11:40 a.m. It costs $25. Five people came."
    written = formatted(said(WRITTEN), punctuated=True, remove_disfluencies=True)
    assert written == "Call 555-1234 at 11:40 a.m. It costs $25. Five people came."


@pytest.mark.parametrize("punctuated", [True, False])
def test_spelling_follows_the_locale(punctuated: bool) -> None:
    assert formatted(said("the colour of my color"), punctuated=punctuated, output_locale="en-US").lower() in {
        "the color of my color", "the color of my color."
    }  # fmt: skip


def test_custom_words_keep_their_digits_and_spelling() -> None:
    words = (VocabEntry(content="Area 51"), VocabEntry(content="Colour"))
    text = formatted(
        said("in Area 51 the Colour of 5 people"), punctuated=True, additional_vocab=words, output_locale="en-US"
    )
    assert text == "in Area 51 the Colour of five people"


def test_the_marks_of_an_engine_follow_the_sensitivity() -> None:
    line = said("Well , we went .")
    assert formatted(line, punctuated=True) == "Well, we went."
    assert formatted(line, punctuated=True, punctuation=PunctuationOverrides(sensitivity=0.1)) == "Well we went."
