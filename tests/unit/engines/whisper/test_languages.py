"""Every language pack has its place in Whisper, or is known to have none."""

import pytest

from sottovoce.engines.whisper.languages import ENGLISH, LANGUAGES, UNKNOWN, YOUNG, contract_code, whisper_codes
from sottovoce.transcript.languages import PACKS


def whispers_own():
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return set(_LANGUAGE_CODES)


def test_every_pack_is_served_or_named_as_unknown():
    assert set(PACKS) == LANGUAGES | UNKNOWN
    assert not LANGUAGES & UNKNOWN
    assert ENGLISH | YOUNG <= LANGUAGES
    assert whispers_own() & UNKNOWN == set()


@pytest.mark.parametrize("code", sorted(PACKS))
def test_every_code_is_one_that_whisper_takes(code):
    codes = whisper_codes(code)
    assert bool(codes) == (code in LANGUAGES)
    assert set(codes) <= whispers_own()
    assert len(set(codes)) == len(codes)


def test_codes_that_differ():
    assert whisper_codes("cmn") == ("zh",)
    assert whisper_codes("yue") == ("yue",)
    assert whisper_codes("no") == ("no",)
    assert whisper_codes("he") == ("he",)
    assert whisper_codes("tl") == ("tl", "en")
    assert whisper_codes("cmn_en_ms_ta") == ("en", "zh", "ms", "ta")
    assert whisper_codes("zz") == whisper_codes("auto") == whisper_codes("zh") == ()


def test_the_way_back():
    assert [contract_code(code) for code in ("zh", "nn", "no", "jw", "en", "haw")] == [
        "cmn",
        "no",
        "no",
        "jv",
        "en",
        "haw",
    ]


@pytest.mark.parametrize("code", sorted(code for code in LANGUAGES if "_" not in code))
def test_what_is_identified_can_be_transcribed_under_that_code(code):
    assert contract_code(whisper_codes(code)[0]) == code
