"""The judge of diarizers is judged: what it counts, whom it takes for whom, and one real run of each method."""

import itertools
import json

import numpy as np
import pytest

from bench import conversations, diarization
from bench.conversations import Conversation, Told
from bench.diarization import Errors, Score, errors
from bench.light_diarizer import LightDiarizer, cut, ward
from bench.manifest import Wrong
from sottovoce.audio.activity import Speech
from sottovoce.engines.diarization.gaussian.assignment import assignment
from sottovoce.engines.protocols import DiarizationHints, Diarized


def told(*turns) -> list[Told]:
    return [Told(start=start, end=end, speaker=speaker) for start, end, speaker in turns]


# ── errors ──


def test_names_of_speakers_do_not_matter():
    reference = told((0, 10, "anna"), (10, 20, "bert"))
    assert errors(reference, told((0, 10, "1"), (10, 20, "0")), 20).rate == 0


def test_what_nobody_heard_is_missed_and_what_nobody_said_is_a_false_alarm():
    reference = told((0, 10, "a"), (10, 20, "b"))
    assert errors(reference, [], 20) == Errors(miss=1.0, false_alarm=0.0, confusion=0.0)
    more = errors(told((0, 10, "a")), told((0, 20, "0")), 20)
    assert more.miss == more.confusion == 0
    assert more.false_alarm == pytest.approx(9.75 / 9.5, abs=0.01)


def test_one_voice_for_two_speakers_confuses_the_lesser_one():
    reference = told((0, 15, "a"), (15, 20, "b"))
    assert errors(reference, told((0, 20, "0")), 20).confusion == pytest.approx(4.5 / 19, abs=0.005)


def test_a_quarter_of_a_second_around_a_border_is_not_scored():
    reference = told((0, 10, "a"), (10, 20, "b"))
    assert errors(reference, told((0, 10.2, "0"), (10.2, 20, "1")), 20).rate == 0
    assert errors(reference, told((0, 10.5, "0"), (10.5, 20, "1")), 20).confusion == pytest.approx(0.25 / 19, abs=0.003)


def test_two_at_once_count_twice():
    reference = told((0, 10, "a"), (0, 10, "b"))
    assert errors(reference, told((0, 10, "0")), 10) == Errors(miss=0.5, false_alarm=0.0, confusion=0.0)


def test_nothing_to_score_is_no_error_and_no_failure():
    assert errors([], [], 0).rate == 0
    assert errors(told((0, 0.3, "a")), told((0, 0.3, "0")), 0.3).rate == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 3), (5, 3), (3, 6), (6, 6), (2, 0), (0, 2)])
def test_the_best_assignment_is_that_of_trying_all(shape):
    chance = np.random.default_rng(sum(shape))
    for _ in range(20):
        gains = chance.integers(0, 9, shape).astype(float)
        pairs = assignment(gains)
        rows, columns = shape
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs) == min(shape)
        long, short = max(shape), min(shape)
        best = max(
            sum(gains[at, order[at]] if rows <= columns else gains[order[at], at] for at in range(short))
            for order in itertools.permutations(range(long), short)
        )
        assert sum(gains[pair] for pair in pairs) == best


# ── recordings ──


def test_turns_are_read_from_rttm_and_notes_are_passed_over(tmp_path):
    path = tmp_path / "a.rttm"
    path.write_text(";; a note\n\nSPEAKER a 1 1.5 2.25 <NA> <NA> anna <NA> <NA>\nSPKR-INFO a 1\n")
    assert list(conversations.read_rttm(path)) == told((1.5, 3.75, "anna"))


@pytest.mark.parametrize("line", ["SPEAKER a 1 1.5", "SPEAKER a 1 one 2 <NA> <NA> anna <NA> <NA>"])
def test_a_turn_that_is_none_is_refused(tmp_path, line):
    path = tmp_path / "a.rttm"
    path.write_text(line + "\n")
    with pytest.raises(Wrong, match="no turn"):
        conversations.read_rttm(path)


def test_the_fixtures_are_short_and_their_turns_lie_inside():
    found = list(conversations.fixtures())
    assert [len({turn.speaker for turn in each.told}) for each in found] == [2, 3, 4]
    for each in found:
        assert each.seconds < 25
        assert all(0 <= turn.start < turn.end <= each.seconds for turn in each.told)


@pytest.mark.skipif(not conversations.can_speak(), reason="flite is not installed")
def test_a_talk_is_said_by_its_cast():
    talk = conversations.talk(("slt", "rms"), 2)
    assert [turn.speaker for turn in talk.told] == ["slt", "rms"]
    assert talk.told[0].end < talk.told[1].start
    assert talk.seconds > talk.told[1].end


@pytest.mark.shared
def test_the_shared_recordings_are_found():
    if not (conversations.SHARED / "audio").is_dir():
        pytest.skip("the shared folder is not there")
    found = {f"{each.source}/{each.name}": each for each in conversations.shared(conversations.SHARED)}
    assert {"conv/conv0_2spk", "pyannote/sample", "speechmatics/audio_01_16kHz"} <= set(found)
    assert [name for name, each in found.items() if each.words_only] == ["speechmatics/audio_01_16kHz"]


# ── the light method ──


def test_ward_joins_what_lies_nearest_first():
    points = np.array([[0.0], [0.1], [5.0], [5.2], [20.0]])
    merges, heights = ward(points)
    assert heights == sorted(heights)
    assert heights[0] == pytest.approx(0.1)
    assert heights[1] == pytest.approx(0.2)
    assert heights[2] == pytest.approx(np.sqrt(2 * 2 * 2 / 4) * 5.05, rel=1e-6)
    assert cut(merges, 3).tolist() == [0, 0, 1, 1, 2]
    assert cut(merges, 1).tolist() == [0] * 5


@pytest.mark.parametrize("length", [0, 10, 400, 8_000, 16_000 * 4])
def test_the_light_method_survives_short_and_silent_sound(length):
    sound = Speech(start=0, audio=np.zeros(length, np.float32))
    found = LightDiarizer().diarize(lambda: iter([sound]), DiarizationHints())
    assert bool(found.voices) == bool(found.turns) == (length >= 400)


# ── the report ──


def conversation(source: str, name: str, seconds: int, *, words_only: bool = False) -> Conversation:
    turns = tuple(told((0, seconds, "a")))
    audio = np.zeros(seconds * 16_000, np.float32)
    return Conversation(source=source, name=name, audio=audio, told=turns, words_only=words_only)


def scored(source: str, name: str, seconds: int, confusion: float, *, words_only: bool = False) -> Score:
    rates = Errors(miss=0.1, false_alarm=0.0, confusion=confusion)
    return Score(
        conversation=conversation(source, name, seconds, words_only=words_only), found=2, errors=rates, cpu=1.0
    )


def test_a_set_is_weighted_with_the_length_of_its_recordings():
    found = diarization.report([scored("conv", "a", 30, 0.2), scored("conv", "b", 10, 0.6)])
    assert found["sets"]["conv"]["confusion"] == pytest.approx(0.3)
    assert found["sets"]["conv"]["der"] == pytest.approx(0.4)
    assert found["sets"]["conv"]["speakers_off"] == 1
    assert found["cpu_per_audio_s"] == pytest.approx(2 / 40)


def test_where_only_words_are_known_there_is_no_error_rate():
    found = diarization.report([scored("words", "a", 10, 0.2, words_only=True)])
    assert "der" not in found["sets"]["words"]
    assert "miss" not in found["files"]["words/a"]


@pytest.mark.parametrize(("ours", "theirs", "worse"), [(0.1, 0.2, False), (0.2, 0.2, False), (0.3, 0.2, True)])
def test_the_builtin_diarizer_must_not_confuse_more_than_the_light_method(ours, theirs, worse):
    results = {
        "builtin": diarization.report([scored("conv", "a", 10, ours)]),
        "light": diarization.report([scored("conv", "a", 10, theirs)]),
    }
    assert diarization.verdict(results)["worse"] is worse


def test_without_both_there_is_no_verdict():
    assert diarization.verdict({"builtin": diarization.report([scored("conv", "a", 10, 0.1)])})["worse"] is None


def test_the_command_measures_the_fixtures_and_says_which_diarizer_is_not_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(conversations, "can_speak", lambda: False)
    assert diarization.main(["--shared", str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["not_there"]) == ["voice-encoder"]
    assert list(result["diarizers"]) == ["builtin", "light"]
    assert result["diarizers"]["builtin"]["sets"]["fixtures"]["files"] == 3
    assert result["diarizers"]["builtin"]["sets"]["fixtures"]["confusion"] < 0.05
    assert result["verdict"] == {"sets": {}, "worse": False}


def test_the_command_fails_where_a_real_set_is_confused_more(tmp_path, monkeypatch, capsys):
    class Everyone:
        def diarize(self, listen, hints):
            return Diarized()

    real = next(conversations.fixtures())
    renamed = Conversation(source="conv", name="a", audio=real.audio, told=real.told)
    monkeypatch.setattr(diarization, "_conversations", lambda _: [renamed])
    monkeypatch.setitem(diarization.DIARIZERS, "light", lambda _: Everyone())
    monkeypatch.setitem(diarization.DIARIZERS, "builtin", lambda _: LightDiarizer())
    assert diarization.main(["--diarizer", "builtin", "light"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"]["worse"] is True


def test_the_command_says_when_there_is_nothing_to_measure(tmp_path, capsys):
    assert diarization.main(["--diarizer", "voice-encoder", "--shared", str(tmp_path)]) == 2
    assert "no diarizer" in capsys.readouterr().err
