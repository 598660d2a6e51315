"""How long a pause must be to end a turn."""

import pytest

from sottovoce.pipeline.live.turn_end import UNFINISHED, UNMARKED, WHOLE, end_silence


@pytest.mark.parametrize(
    ("text", "language", "silence"),
    [
        ("That is all.", "en", WHOLE),
        ("Is it?", "en", WHOLE),
        ("What are you looking for?", "en", WHOLE),
        ("I would like to speak to the.", "en", UNFINISHED),  # recognisers set a full stop at the end of any audio
        ("And the", "en", UNFINISHED),
        ("First,", "en", UNMARKED),
        ("Well...", "en", UNFINISHED),
        ("my number is five", "en", UNMARKED),
        ("Das ist alles.", "de", WHOLE),
        ("Ich hätte gern ein", "de", UNFINISHED),
        ("还有", "cmn", UNMARKED),
        ("", "en", UNMARKED),
    ],
)
def test_the_last_word_and_its_mark_decide(text: str, language: str, silence: int) -> None:
    assert end_silence(text.split(), language) == silence
