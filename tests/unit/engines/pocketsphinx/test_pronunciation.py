"""Where the sounds of a custom word come from, and what is left out."""

import shutil
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.engines.pocketsphinx import pronunciation
from sottovoce.engines.pocketsphinx.pronunciation import parts, pronounce

BOOK = {
    "new": "N UW", "york": "Y AO R K", "o'neill": "OW N IY L", "four": "F AO R", "k.": "K EY", "n.": "EH N",
    "h.": "EY CH", "s.": "EH S", "b.": "B IY", "seven": "S EH V AH N",
}  # fmt: skip


@pytest.fixture
def no_espeak(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)


def said(text):
    return " ".join(pronounce(text, BOOK.get))


@pytest.mark.usefixtures("no_espeak")
@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("New York", "N UW Y AO R K"),
        ("new-york!", "N UW Y AO R K"),
        ("O’Neill", "OW N IY L"),
        ("4K", "F AO R K EY"),
        ("47", "F AO R S EH V AH N"),
        ("NHS", "EH N EY CH EH S"),
        ("sh", "EH S EY CH"),
        ("bat", "B AE T"),
        ("", ""),
        ("漢字", ""),
        ("((( ", ""),
        ("new " * 7, ""),
        ("a" * 4_001, ""),
    ],
)
def test_dictionary_then_digits_then_letters_then_rules(text, sounds):
    assert said(text) == sounds


def test_parts():
    assert parts("AT&T's Gen-Z_co. l’Oréal") == ("AT", "T's", "Gen", "Z", "co", "l’Oréal")


@pytest.mark.usefixtures("no_espeak")
@given(st.text(max_size=80))
def test_no_text_breaks_it(text):
    assert len(pronounce(text, BOOK.get)) <= pronunciation.MAX_PHONES


@pytest.fixture
def espeak(tmp_path, monkeypatch):
    """A synthesiser that notes how it was called."""

    def put(body):
        program = tmp_path / "espeak-ng"
        program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >> "{tmp_path}/calls"\n{body}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        pronunciation._espeak.cache_clear()
        return tmp_path / "calls"

    yield put
    pronunciation._espeak.cache_clear()


def test_a_synthesiser_that_is_present_is_asked_once_a_word(espeak):
    calls = espeak('echo "zˈɔːɹbəl"')
    assert said("zorbel") == said("Zorbel") == "Z AO R B AH L"
    assert calls.read_text() == "-q|--ipa=1|-v|en-us|--|zorbel|"


@pytest.mark.parametrize("body", ["exit 1", "printf '\\377\\376'", "echo '???'", "sleep 9"])
def test_a_synthesiser_that_fails_leaves_it_to_the_rules(espeak, body, monkeypatch):
    monkeypatch.setattr(pronunciation, "_PATIENCE", 0.2)
    espeak(body)
    assert said("bat") == "B AE T"


def test_diphthongs_and_ties():
    assert " ".join(pronunciation._arpabet("t͡ʃˈɜːl nˈɪɡɚdɪŋ aɪ")) == "CH ER L N IH G ER D IH NG AY"
