"""A slice of the fault harness: one seeded round of every fault. `make chaos` runs as many as you have time for."""

import pytest

from tests.chaos import kills, smalldisk
from tests.chaos.__main__ import SMALL, play
from tests.chaos.faults import FAULTS
from tests.chaos.rounds import calm
from tests.chaos.worlds import Embedded, Fleet
from tests.servers import Server, Worker

pytestmark = pytest.mark.system
ROUNDS = 1
LIMIT = 900
"""Seconds: a deadline against a hang, on a machine that others use too."""


class _Embedded(Embedded):
    """Its server is forked from a process that has made the imports; `make chaos` has new interpreters."""

    SERVER = Server


class _Fleet(Fleet):
    """Likewise."""

    SERVER = Server
    WORKER = Worker


def faults_of(backend: str) -> list[str]:
    return [name for name, fault in FAULTS.items() if backend in fault.backends and fault.where == "any"]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    with _Embedded(tmp_path_factory.mktemp("chaos-sqlite")) as world:
        calm(world)
        yield world


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with _Fleet(tmp_path_factory.mktemp("chaos-fleet")) as world:
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


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize("fault", SMALL)
def test_a_full_or_read_only_disk_loses_nothing(fault):
    """Where the machine allows a small disk of our own; `small-files` above needs nothing and always runs."""
    if not smalldisk.available():
        pytest.skip("no unprivileged user namespaces here, so no disk of our own to fill")
    arguments = ["--fault", fault, "--backend", "sqlite", "--rounds", str(ROUNDS), "--seed", "slice"]
    done = smalldisk.run(arguments, timeout=LIMIT - 60)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
