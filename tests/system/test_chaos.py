"""A slice of the fault harness: one seeded round of every fault. `make chaos` runs as many as you have time for, with new
interpreters in place of forks.
"""

import json

import pytest

from tests.chaos import kills, smalldisk
from tests.chaos.__main__ import SMALL, play
from tests.chaos.faults import FAULTS
from tests.chaos.rounds import calm
from tests.chaos.worlds import Embedded, Fleet

pytestmark = pytest.mark.system
ROUNDS = 1
LIMIT = 900
"""Seconds: a deadline against a hang, on a machine that others use too."""


def faults_of(backend: str) -> list[str]:
    return [name for name, fault in FAULTS.items() if backend in fault.backends and fault.where == "any"]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    with Embedded(tmp_path_factory.mktemp("chaos-sqlite"), forked=True) as world:
        calm(world)
        yield world


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with Fleet(tmp_path_factory.mktemp("chaos-fleet"), forked=True) as world:
        calm(world)
        yield world


def rounds(world, fault: str) -> list[str]:
    """What went wrong in any of them."""
    return [text for number in range(ROUNDS) for text in play(world, fault, f"slice.{number}")]


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("fault", faults_of("sqlite"))
def test_an_embedded_server_loses_nothing(embedded, fault):
    assert not rounds(embedded, fault)


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("fault", faults_of("fleet"))
def test_a_fleet_loses_nothing(fleet, fault):
    assert not rounds(fleet, fault)


@pytest.mark.timeout(LIMIT)
def test_kills_under_parallel_submissions_lose_nothing(tmp_path):
    """A few rounds of the campaign of `python -m tests.chaos.kills`."""
    total = kills.campaign("sqlite", 3, LIMIT, "slice", tmp_path)
    assert (total["wrong"], total["compared"]) == (0, total["acknowledged"] + total["made unheard"])
    assert total["rounds"] >= 3


@pytest.fixture(scope="module")
def small_disk():
    """What was printed about the rounds on a small disk, where the machine allows one."""
    if not smalldisk.available():
        pytest.skip("no unprivileged user namespaces here, so no disk of our own to fill")
    arguments = ["--backend", "sqlite", "--rounds", str(ROUNDS * len(SMALL)), "--seed", "slice", "--forked"]
    done = smalldisk.run(arguments, timeout=LIMIT - 60)
    assert '"total"' in done.stdout, done.stdout + done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("fault", SMALL)
def test_a_full_or_read_only_disk_loses_nothing(small_disk, fault):
    """`small-files` above needs no disk of its own and always runs."""
    assert [told["wrong"] for told in small_disk if told.get("fault") == fault] == [[]] * ROUNDS
