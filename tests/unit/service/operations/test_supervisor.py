"""The supervisor over small real processes; what they do is written into files that the tests look at."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sottovoce.service.operations.supervisor import RegionProcess, RestartPolicy, Supervisor
from tests.servers import PATIENCE, ROOT, until

QUICK = RestartPolicy(first=0.05, longest=0.2, steady=PATIENCE, grace=PATIENCE)

SERVER = """
import os, signal, sys, time
name, folder = sys.argv[1:3]
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append("term"))
signal.signal(signal.SIGINT, lambda *_: stopped.append("int"))
with open(f"{folder}/{name}", "a") as file:
    print(os.getpid(), file=file)
print(f"{name} is listening on http://{name}.example", flush=True)
while "stay" in sys.argv or not stopped:
    time.sleep(0.01)
    if stopped.count("int"):
        break
with open(f"{folder}/{name}.stopped", "a") as file:
    print(*stopped, file=file)
"""


def tree(name: str, folder: Path, script: str = SERVER, *more: str) -> RegionProcess:
    command = (sys.executable, "-c", textwrap.dedent(script), name, str(folder), *more)
    return RegionProcess(region=name, command=command, environment=dict(os.environ))


def lives(folder: Path, name: str) -> list[int]:
    """Process ids of all lives of a server, oldest first."""
    path = folder / name
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


async def reached(look, what: str) -> None:
    await asyncio.to_thread(until, look, what)


async def supervised(supervisor: Supervisor, do) -> bool:
    """What *supervisor* says after *do*, and a stop."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(supervisor.run())
        await do()
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        return await running


def test_all_are_started_the_first_one_first_and_stopped_in_good_order(tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    trees = [tree(name, tmp_path) for name in ("eu1", "us1", "au1")]

    async def do() -> None:
        await reached(lambda: len(said) == 3, "three servers")

    assert asyncio.run(supervised(Supervisor(trees, lambda *line: said.append(line), QUICK), do))
    assert said[0] == ("eu1", "eu1 is listening on http://eu1.example")
    assert sorted(region for region, _ in said) == ["au1", "eu1", "us1"]
    for name in ("eu1", "us1", "au1"):
        assert (tmp_path / f"{name}.stopped").read_text() == "term\n"


def test_one_that_dies_comes_back_and_the_others_never_notice(tmp_path: Path) -> None:
    trees = [tree(name, tmp_path) for name in ("eu1", "us1")]

    async def do() -> None:
        for number in (1, 2, 3):
            await reached(lambda n=number: len(lives(tmp_path, "us1")) == n, "another life")
            await reached(lambda: lives(tmp_path, "eu1"), "the first one")
            os.kill(lives(tmp_path, "us1")[-1], signal.SIGKILL)
        await reached(lambda: len(lives(tmp_path, "us1")) == 4, "the last life")

    assert asyncio.run(supervised(Supervisor(trees, lambda *_: None, QUICK), do))
    assert len(lives(tmp_path, "eu1")) == 1


def test_a_second_ctrl_c_breaks_off_what_drains(tmp_path: Path) -> None:
    async def do() -> None:
        await reached(lambda: lives(tmp_path, "eu1"), "the server")
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)

    said: list[str] = []
    supervisor = Supervisor([tree("eu1", tmp_path, SERVER, "stay")], lambda _, line: said.append(line), QUICK)
    assert asyncio.run(supervised(supervisor, do))
    assert set((tmp_path / "eu1.stopped").read_text().split()) <= {"term", "int"}
    assert "int" in (tmp_path / "eu1.stopped").read_text()


def test_what_does_not_stop_is_killed(tmp_path: Path) -> None:
    patience = RestartPolicy(first=0.05, longest=0.2, steady=PATIENCE, grace=0.2)

    async def do() -> None:
        await reached(lambda: lives(tmp_path, "eu1"), "the server")

    assert asyncio.run(supervised(Supervisor([tree("eu1", tmp_path, SERVER, "stay")], lambda *_: None, patience), do))
    assert not (tmp_path / "eu1.stopped").exists()


def test_when_none_ever_listens_it_gives_up(tmp_path: Path) -> None:
    trees = [tree(name, tmp_path, "raise SystemExit(2)") for name in ("eu1", "us1")]
    trees.append(RegionProcess(region="au1", command=(str(tmp_path / "nothing-here"),), environment={}))
    assert asyncio.run(Supervisor(trees, lambda *_: None, QUICK).run()) is False


def test_a_first_one_that_cannot_start_does_not_keep_the_others_out(tmp_path: Path) -> None:
    trees = [tree("eu1", tmp_path, "raise SystemExit(1)"), tree("us1", tmp_path)]

    async def do() -> None:
        await reached(lambda: lives(tmp_path, "us1"), "the second one")

    assert asyncio.run(supervised(Supervisor(trees, lambda *_: None, QUICK), do))


def test_a_flood_of_lines_holds_nobody_up(tmp_path: Path) -> None:
    flood = 'print("x" * 300_000)\nfor n in range(20_000): print(n)\n'
    said: list[str] = []

    async def do() -> None:
        await reached(lambda: said and "listening" in said[-1], "the end of the flood")

    supervisor = Supervisor([tree("eu1", tmp_path, flood + SERVER)], lambda _, line: said.append(line), QUICK)
    assert asyncio.run(supervised(supervisor, do))


@pytest.mark.parametrize(("lasted", "pauses"), [(0.0, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]), (61.0, [1.0] * 8)])
def test_pauses_grow_until_a_server_stays(lasted: float, pauses: list[float]) -> None:
    patience, pause, seen = RestartPolicy(), 0.0, []
    for _ in pauses:
        pause = patience.after(pause, lasted)
        seen.append(pause)
    assert seen == pauses


def test_servers_die_with_the_supervisor(tmp_path: Path) -> None:
    """kill -9: the kernel tells them."""
    script = f"""
        import asyncio, os, sys
        from pathlib import Path
        from sottovoce.service.operations.supervisor import RegionProcess, RestartPolicy, Supervisor
        code = "from sottovoce.inference.frame_socket import die_with_parent; import os; die_with_parent(int(os.environ['P']))"
        tree = RegionProcess(
            region="eu1",
            command=(sys.executable, "-c", code + chr(10) + Path({str(tmp_path / "server.py")!r}).read_text(), "eu1", {str(tmp_path)!r}),
            environment={{**os.environ, "P": str(os.getpid())}},
        )
        asyncio.run(Supervisor([tree], lambda *_: None, RestartPolicy()).run())
    """
    (tmp_path / "server.py").write_text(SERVER)
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT) as supervisor:
        (server,) = until(lambda: lives(tmp_path, "eu1"), "the server")
        supervisor.kill()
    until(lambda: not _alive(server), "end of the server")


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
