"""Apertium as a program: the installed modes, and the sentences through a program in its place."""

import stat
from dataclasses import replace

import pytest

from sottovoce.engines.apertium.registration import modes
from sottovoce.engines.apertium.translator import ApertiumTranslator
from tests.unit.intelligence.talk import scene, turns

SCENE = replace(scene(turns(("S1", "Fish & chips. Is 1 < 2?"))), part="es")
PAIRS = {("en", "es"): "eng-spa"}


def program(folder, script):
    """An executable file in place of Apertium, for what it does when it fails."""
    file = folder / "apertium"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def test_modes_are_pairs_of_the_contracts_codes(tmp_path):
    for name in ("eng-spa", "spa-eng", "cat-spa_valencia", "eng-spa-tagger", "xxx-eng"):
        (tmp_path / f"{name}.mode").touch()
    assert modes((tmp_path,)) == {("en", "es"): "eng-spa", ("es", "en"): "spa-eng"}


def test_every_sentence_comes_back_under_its_number(tmp_path):
    shout = program(tmp_path, "tr a-z A-Z | sed 's/<P ID/<p id/; s/<.P>/<\\/p>/; s/&AMP;/\\&amp;/; s/&LT;/\\&lt;/'")
    backend = ApertiumTranslator("en", PAIRS, shout)
    assert (backend.languages, backend.targets) == ({"en"}, {"es"})
    assert backend.translate(SCENE, "es") == ["FISH & CHIPS.", "IS 1 < 2?"]


def test_a_program_that_fails_or_loses_a_sentence_is_an_error(tmp_path):
    with pytest.raises(ChildProcessError, match="ended with 3: no mode"):
        ApertiumTranslator("en", PAIRS, program(tmp_path, "echo no mode >&2; exit 3")).translate(SCENE, "es")
    with pytest.raises(ValueError, match="lost 1 of 2"):
        ApertiumTranslator("en", PAIRS, program(tmp_path, "head -1")).translate(SCENE, "es")
