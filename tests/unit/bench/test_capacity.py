"""How many sessions a server takes: with a real socket and a scripted recogniser."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench import capacity
from bench.realtime import Sound
from sottovoce.transcript.model import RATE
from tests.live_server import KEY, live_server


def test_sessions_begin_until_one_is_refused_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "STEP", 0.7)
    monkeypatch.setattr(capacity, "PLATEAU", 2.5)
    with live_server(tmp_path, realtime_sessions=2) as server:
        target: Any = SimpleNamespace(url=f"http://{server.address}", key=KEY)
        found = capacity.measure(target, Sound(pcm=bytes(4 * RATE), reference=()), 2.0)
    assert (found["sessions"], found["errors"]) == (2, [])
    assert found["refusal_status"] == [503]
    assert found["refused"] >= 2
    assert found["refusal_s_longest"] < 5
    assert found["full_final_s"]["median"] > 0
    assert [each["sessions"] for each in found["by_sessions"]] == [1, 2]


def test_a_conversation_is_speech_half_of_the_time() -> None:
    audio = np.ones(round(15 * RATE), "<i2")
    found = np.frombuffer(capacity.with_pauses(Sound(pcm=audio.tobytes(), reference=("a",))).pcm, "<i2")
    assert found.sum() == audio.sum()
    assert len(found) / RATE == 15 + 3 * capacity.TURN
    assert not found[round(6 * RATE) : round(12 * RATE)].any()
