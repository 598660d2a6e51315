import re
import signal
import threading

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.pipeline import stages
from sottovoce.pipeline.cpu_limit import cpu_limit
from sottovoce.request import Replacement, TranscriptionRequest
from sottovoce.transcript.languages import pack
from sottovoce.transcript.replacements import compile_rules
from tests.unit.transcript.transcript_values import w

RUNAWAY = "(?:a|a)*b"
"""Takes twice as long for each further `a`: years for the word below."""
WORD = "a" * 60


def test_a_match_that_would_never_end_is_ended() -> None:
    with pytest.raises(TimeoutError), cpu_limit(0.1):
        re.search(RUNAWAY, WORD)


def test_quick_work_is_left_alone_and_nothing_stays_behind() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with cpu_limit(60):
        assert re.search(RUNAWAY, "aab")
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_other_threads_run_without_a_limit() -> None:
    done: list[bool] = []

    def work() -> None:
        with cpu_limit(0.001):
            done.append(bool(re.search(RUNAWAY, "aab")))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def context(*sources: str) -> stages.StageContext:
    rules = compile_rules([Replacement(source=source, target="x") for source in sources])
    request = TranscriptionRequest(language="en")
    return stages.StageContext(request=request, pack=pack("en"), end=16_000, punctuated=True, rules=rules)


def test_a_rule_that_runs_away_ends_the_job_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "RULES_BASE", 0.1)
    failed: list[str] = []
    with pytest.raises(Refused) as refused:
        stages.run_stages((w("b"), w(WORD)), context("/q+/", f"/{RUNAWAY}/"), lambda name, _: failed.append(name))
    assert (refused.value.kind, failed) == (Kind.INVALID_CONFIG, [])
    assert refused.value.at == "transcript_filtering_config.replacements[1].from"


def test_rules_that_are_slow_together_end_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "RULES_MOST", 0.05)
    many = tuple(w(f"word{number}") for number in range(5_000))
    with pytest.raises(Refused) as refused:
        stages.run_stages(many, context(*(f"/{'.*' * 3}x{number}/" for number in range(50))), lambda *_: None)
    assert str(refused.value.at).startswith(stages.RULES)
