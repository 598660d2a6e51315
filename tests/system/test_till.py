"""A slice of the run on the till (`tests/chaos/till.py`): one seeded round on each backend. `make chaos` has more, with new
interpreters in place of forks.
"""

import pytest

from tests.chaos.till import WORLDS, opened, play

pytestmark = pytest.mark.system
LIMIT = 600
"""Seconds: a deadline against a hang, on a machine that others use too."""


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("backend", WORLDS)
def test_no_credit_is_lost_and_no_job_charged_twice_through_kills(tmp_path, backend):
    with opened(backend, tmp_path, forked=True) as till:
        assert not play(till, "slice")
        assert any(entry.job_id for workspace_id in till.workspaces for entry in till.entries(workspace_id))
