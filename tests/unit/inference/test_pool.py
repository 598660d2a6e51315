# ruff: noqa: ASYNC110 - polling is what a test can do
"""The pool with real child processes. They look at media, which needs no recogniser; what a file is called decides how a
child behaves (`BEHAVIOUR`, put into the children's start-up)."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.errors import EngineUnavailable, Kind, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import (
    MEDIA,
    EngineMisconfigured,
    EngineTemporarilyUnavailable,
    Outcome,
    Pool,
    PoolPolicy,
    ProcessDied,
    Task,
    TaskCrashed,
)
from sottovoce.request import TranscriptionRequest
from tests.servers import ROOT, until

BEHAVIOUR = """
import os, signal, subprocess, sys, time
if os.environ.get("HOST_FAILS") and os.path.exists(os.environ["HOST_FAILS"]):
    os._exit(3)
if os.environ.get("HOST_ONCE"):
    try: os.open(os.environ["HOST_ONCE"], os.O_CREAT | os.O_EXCL)
    except FileExistsError: os._exit(3)
from sottovoce.audio import media
honest = media.probe
def line():
    return next(fd for fd in range(3, 64) if os.path.exists(f"/proc/self/fd/{fd}")
                and os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"))
def probe(path, *track):
    what = path.name
    if what == "hang": time.sleep(600)
    if what == "stop": os.kill(os.getpid(), signal.SIGSTOP)
    if what == "crash": os.kill(os.getpid(), signal.SIGSEGV)
    if what == "exit":
        os.write(2, b"last words\\n")
        os._exit(7)
    if what == "bug": raise ZeroDivisionError("a bug of ours")
    if what == "garbage":
        os.write(line(), b"\\xff" * 64)
        time.sleep(600)
    if what == "nonsense":
        os.write(line(), bytes([0, 0, 0, 2, 0, 0, 0, 0]) + b"{}")
        time.sleep(600)
    if what == "noise":
        print("printed"); os.system("echo from a shell"); os.write(1, b"raw \\xff\\xfe noise\\n"); os.write(2, b"x" * 300000 + b"\\n")
        path = path.with_name("tone.wav")
    if what == "environment":
        raise RuntimeError("ENV " + " ".join(sorted(os.environ)) + " PATH " + repr(sys.path))
    if what == "family":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        time.sleep(600)
    return honest(path, *track)
media.probe = probe
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a second of audio, whose `sitecustomize` every child loads."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BEHAVIOUR)
    search = [str(tmp_path / "site"), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, search)))
    monkeypatch.setenv("HOST_FAILS", str(tmp_path / "fail"))
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\1" * 8000)
    return tmp_path


@contextlib.contextmanager
def pool_of(slots: int, **policy: float) -> Iterator[Pool]:
    pool = Pool(PoolPolicy(**policy))  # type: ignore[arg-type]
    try:
        pool.prestart(MEDIA, slots)
        yield pool
    finally:
        pool.close()


@pytest.fixture
def pool(home: Path) -> Iterator[Pool]:
    with pool_of(1) as made:
        yield made


def look(pool: Pool, path: Path, heard: list[m.Message] | None = None) -> Outcome:
    said = [] if heard is None else heard
    return pool.run_blocking(MEDIA, Task(message=m.Inspect(path=str(path))), lambda message, _: said.append(message))


def pids(pool: Pool) -> list[int]:
    """Every child of *pool*, at work or not."""
    return [child.process.pid for team in tuple(pool._teams.values()) for child in (*team.idle, *team.busy)]


def exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children_of(pid: int) -> list[int]:
    """Children of *pid* that live; of this process only engine processes: it may also have started servers for other tests."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                engine = b"sottovoce.inference.host" in (entry / "cmdline").read_bytes()
                if engine or pid != os.getpid():
                    found.append(int(entry.name))
    return found


def healthy(pool: Pool, home: Path) -> None:
    heard: list[m.Message] = []
    look(pool, home / "tone.wav", heard)
    assert [message.kind for message in heard] == ["media"]


def test_a_warm_child_looks_at_one_file_after_another(pool: Pool, home: Path) -> None:
    (pid,) = pids(pool)
    for _ in range(3):
        heard: list[m.Message] = []
        outcome = look(pool, home / "tone.wav", heard)
        (media,) = heard
        assert isinstance(media, m.Media)
        assert (media.duration, media.channels, media.rate) == (16_000, 1, 8000)
        assert outcome.finished.rss > 1 << 20
        assert outcome.payload == b""
    assert pids(pool) == [pid]
    assert pool.alive()
    assert pool.occupancy() == {"media": (0, 1)}


def test_a_child_that_is_not_started_in_advance_is_started_when_the_others_are_busy(home: Path) -> None:
    async def go(pool: Pool) -> None:
        work = asyncio.create_task(pool.run(MEDIA, Task(message=m.Inspect(path=str(home / "hang"))), lambda *_: None))
        while not pool.busy_pids():
            await asyncio.sleep(0.01)
        await asyncio.to_thread(look, pool, home / "tone.wav")
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    pool = Pool()
    try:
        pool.prestart(MEDIA, 2, at_once=1)
        (first,) = pids(pool)
        asyncio.run(go(pool))
        # the pool's own thread kills it at its task, soon after the cancellation; the other one is left
        until(lambda: first not in pids(pool) and pids(pool), "end of the first child")
    finally:
        pool.close()


def test_what_is_the_callers_fault_and_what_is_ours(pool: Pool, home: Path) -> None:
    (pid,) = pids(pool)
    (home / "text").write_text("no media at all")
    with pytest.raises(Refused) as refused:
        look(pool, home / "text")
    assert refused.value.kind is Kind.INVALID_AUDIO
    assert str(home) not in refused.value.detail
    with pytest.raises(TaskCrashed, match="a bug of ours"):
        look(pool, home / "bug")
    assert pids(pool) == [pid]  # it lives
    healthy(pool, home)


@pytest.mark.parametrize("how", ["crash", "exit", "garbage", "nonsense"])
def test_a_child_that_dies_or_talks_nonsense_is_replaced(
    pool: Pool, home: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (pid,) = pids(pool)
    with pytest.raises(ProcessDied, match=str(pid)):
        look(pool, home / how)
    healthy(pool, home)
    assert not exists(pid)
    assert pid not in pids(pool)
    if how == "exit":
        assert "last words" in [record.__dict__.get("text") for record in caplog.records]


def test_kill_9_in_the_middle(pool: Pool, home: Path) -> None:
    async def go() -> None:
        work = asyncio.create_task(pool.run(MEDIA, Task(message=m.Inspect(path=str(home / "hang"))), lambda *_: None))
        while not pool.busy_pids():
            await asyncio.sleep(0.01)
        os.kill(pool.busy_pids()[0], signal.SIGKILL)
        with pytest.raises(ProcessDied):
            await work

    asyncio.run(go())
    healthy(pool, home)
    assert pool.occupancy() == {"media": (0, 1)}


def test_kill_9_while_idle_costs_no_task(pool: Pool, home: Path) -> None:
    (pid,) = pids(pool)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not exists(pid), "death")
    healthy(pool, home)
    assert pid not in pids(pool)
    assert children_of(os.getpid()) == pids(pool)
    assert not Path(f"/proc/{pid}").exists()  # and no zombie


@pytest.mark.parametrize("how", ["hang", "family"])
def test_cancelling_kills_the_child_and_what_it_started(pool: Pool, home: Path, how: str) -> None:
    victims: list[int] = []

    async def go() -> None:
        work = asyncio.create_task(pool.run(MEDIA, Task(message=m.Inspect(path=str(home / how))), lambda *_: None))
        while not pool.busy_pids():
            await asyncio.sleep(0.01)
        victims.extend(pool.busy_pids())
        if how == "family":
            while not (found := children_of(victims[0])):
                await asyncio.sleep(0.01)
            victims.extend(found)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(go())
    until(lambda: not any(map(exists, victims)), "end of the child")
    healthy(pool, home)


@pytest.mark.parametrize("how", ["hang", "stop"])
def test_a_silent_child_is_killed(home: Path, how: str) -> None:
    with pool_of(1, stall_timeout=0.3) as pool:
        (pid,) = pids(pool)
        with pytest.raises(ProcessDied, match="no message from the child"):
            look(pool, home / how)
        until(lambda: not exists(pid), "death")


def test_a_child_that_does_not_listen_is_killed_too(home: Path) -> None:
    with pool_of(1, stall_timeout=0.3) as pool:
        (pid,) = pids(pool)
        os.kill(pid, signal.SIGSTOP)
        big = (m.WindowDone(channel=0, start=0, end=1), bytes(4 << 20))
        with pytest.raises(ProcessDied, match="no message from the child"):
            pool.run_blocking(
                MEDIA, Task(message=m.Inspect(path=str(home / "tone.wav")), windows=[big] * 4), lambda *_: None
            )
        until(lambda: not exists(pid), "death")


def test_noise_never_reaches_the_line(pool: Pool, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (pid,) = pids(pool)
    heard: list[m.Message] = []
    look(pool, home / "noise", heard)
    assert [message.kind for message in heard] == ["media"]
    healthy(pool, home)
    assert pids(pool) == [pid]

    def said() -> list[str]:
        return [str(record.__dict__["text"]) for record in caplog.records if record.message == "engine says"]

    until(
        lambda: {"printed", "from a shell"} <= set(said()) and any("noise" in line for line in said()),
        "noise in the log",
    )
    assert max(map(len, said())) <= 1000


def test_worn_children_are_replaced_and_slots_stay(home: Path) -> None:
    with pool_of(2, recycle_after=2) as pool:
        seen = set(pids(pool))
        for _ in range(6):
            healthy(pool, home)
            seen |= set(pids(pool))
        assert len(seen) > 2
        until(lambda: len(pids(pool)) == 2, "two children")
        assert sorted(pids(pool)) == sorted(children_of(os.getpid()))
    assert not any(map(exists, seen))


def test_a_child_with_too_much_memory_is_replaced(home: Path) -> None:
    with pool_of(1, max_rss=1) as pool:
        (pid,) = pids(pool)
        healthy(pool, home)
        until(lambda: pids(pool) and not exists(pid), "replacement")
        healthy(pool, home)


def test_tasks_wait_for_a_slot_and_share_nothing(home: Path) -> None:
    async def go(pool: Pool) -> None:
        async def one() -> list[str]:
            heard: list[str] = []
            await pool.run(
                MEDIA,
                Task(message=m.Inspect(path=str(home / "tone.wav"))),
                lambda message, _: heard.append(message.kind),
            )
            return heard

        assert await asyncio.gather(*(one() for _ in range(20))) == [["media"]] * 20

    with pool_of(2) as pool:
        before = sorted(pids(pool))
        asyncio.run(go(pool))
        assert sorted(pids(pool)) == before


def test_cancelled_waiters_leave_their_place(pool: Pool, home: Path) -> None:
    async def go() -> None:
        hang = Task(message=m.Inspect(path=str(home / "hang")))
        tasks = [asyncio.create_task(pool.run(MEDIA, hang, lambda *_: None)) for _ in range(5)]
        while not pool.busy_pids():
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)

    asyncio.run(go())
    healthy(pool, home)
    until(lambda: pool.occupancy() == {"media": (0, 1)}, "an idle pool")


def test_a_child_gets_no_credential_and_imports_nothing_from_the_working_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = (
        "SOTTOVOCE_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "PGPASSWORD", "DATABASE_URL", "My_Secret", "HF_TOKEN",
        "SMTP_PASSWORD", "GOOGLE_APPLICATION_CREDENTIALS",
    )  # fmt: skip
    for name in secrets:
        monkeypatch.setenv(name, "hush")
    (home / "here").mkdir()
    (home / "here" / "wave.py").write_text("raise SystemExit('taken from the working folder')")
    (home / "here" / "struct.py").write_text("raise SystemExit('taken from the working folder')")
    monkeypatch.chdir(home / "here")
    with pool_of(1) as pool, pytest.raises(TaskCrashed) as broke:
        look(pool, home / "environment")
    names, _, path = str(broke.value).rpartition("RuntimeError: ENV ")[2].partition(" PATH ")
    given = names.split()
    assert "HOME" in given or "PATH" in given
    assert not set(given) & set(secrets)
    assert str(home / "here") not in path
    assert "''" not in path


def test_an_unknown_engine_cannot_be_warmed_and_leaves_no_child(home: Path) -> None:
    pool = Pool()
    try:
        with pytest.raises((EngineUnavailable, ProcessDied)) as refused:
            pool.prestart(EngineKey(engine="nonesuch"), 2)
        assert isinstance(refused.value, EngineUnavailable)
        assert children_of(os.getpid()) == []
        assert not pool.alive()
    finally:
        pool.close()


def test_one_that_starts_beside_one_that_does_not_is_taken_down(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_ONCE", str(home / "first"))
    before = children_of(os.getpid())
    pool = Pool()
    try:
        with pytest.raises(EngineUnavailable):
            pool.prestart(MEDIA, 2)
        assert (home / "first").exists()
        assert children_of(os.getpid()) == before
    finally:
        pool.close()


def test_a_child_that_cannot_be_started_again_is_no_fault_of_the_caller(pool: Pool, home: Path) -> None:
    (home / "fail").touch()
    with pytest.raises(ProcessDied):
        look(pool, home / "exit")
    with pytest.raises(EngineTemporarilyUnavailable):
        look(pool, home / "tone.wav")
    (home / "fail").unlink()
    healthy(pool, home)


def test_closing_ends_children_threads_and_tasks(home: Path) -> None:
    before = set(threading.enumerate())
    open_before = sum(1 for _ in Path("/proc/self/fd").iterdir())

    async def go(pool: Pool) -> None:
        work = asyncio.create_task(pool.run(MEDIA, Task(message=m.Inspect(path=str(home / "hang"))), lambda *_: None))
        waiting = asyncio.create_task(
            pool.run(MEDIA, Task(message=m.Inspect(path=str(home / "hang"))), lambda *_: None)
        )
        while not pool.busy_pids():
            await asyncio.sleep(0.01)
        await asyncio.to_thread(pool.close)
        results = await asyncio.gather(work, waiting, return_exceptions=True)
        assert all(isinstance(result, ProcessDied | asyncio.CancelledError) for result in results)

    with pool_of(1) as pool:
        asyncio.run(go(pool))
        pool.close()  # again
        assert not pool.alive()
    assert children_of(os.getpid()) == []
    until(lambda: not [t for t in set(threading.enumerate()) - before if t.is_alive()], "end of the threads")
    until(lambda: sum(1 for _ in Path("/proc/self/fd").iterdir()) <= open_before, "end of the files")


PARENT = """
import sys, time
from pathlib import Path
from sottovoce.inference import messages as m
from sottovoce.inference.pool import MEDIA, Pool, Task
pool = Pool()
pool.prestart(MEDIA, 2)
import threading
threading.Thread(target=lambda: pool.run_blocking(MEDIA, Task(message=m.Inspect(path=sys.argv[1])), print), daemon=True).start()
while not pool.busy_pids(): time.sleep(0.01)
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("task", ["hang", "stop"])
def test_children_die_with_their_parent(home: Path, how: signal.Signals, task: str) -> None:
    command = [sys.executable, "-c", PARENT, str(home / task)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "up\n"
        children = children_of(parent.pid)
        assert len(children) == 2
        parent.send_signal(how)
    until(lambda: not any(map(exists, children)), "end of the children")


def test_a_stop_of_the_whole_service_leaves_children_to_their_parent(pool: Pool, home: Path) -> None:
    (pid,) = pids(pool)
    for stop in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, stop)
    healthy(pool, home)
    assert pids(pool) == [pid]


# ── engines that come and go ──

SLEEPER = EngineKey(engine="tests.sleeper:ENGINE", model="drowsy")
OTHER = EngineKey(engine="tests.sleeper:ENGINE", model="other")


@contextlib.contextmanager
def sleepers(slots: int = 1, engine_config: EngineConfig | None = None, **policy: float) -> Iterator[Pool]:
    pool = Pool(PoolPolicy(**policy), engine_config, slots=slots)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        pool.close()


def transcribe(pool: Pool, home: Path, key: EngineKey = SLEEPER) -> Outcome:
    message = m.Transcribe(path=str(home / "tone.wav"), request=TranscriptionRequest(language="en"))
    return pool.run_blocking(key, Task(message=message), lambda *_: None)


def test_an_engine_starts_when_it_is_first_wanted(home: Path) -> None:
    with sleepers() as pool:
        assert pids(pool) == []
        transcribe(pool, home)
        (child,) = pids(pool)
        transcribe(pool, home)
        assert pids(pool) == [child]
        assert pool.alive()


def test_an_engine_that_never_started_is_broken_and_one_that_did_is_down(home: Path) -> None:
    with sleepers() as pool:
        (home / "fail").touch()
        with pytest.raises(EngineMisconfigured):
            transcribe(pool, home)
        assert not pool.alive()
        (home / "fail").unlink()
        transcribe(pool, home)
        assert pool.alive()
        (home / "fail").touch()
        for pid in pids(pool):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not pool.alive(), "death of the child")
        with pytest.raises(EngineTemporarilyUnavailable):
            transcribe(pool, home)
        (home / "fail").unlink()


def test_live_sessions_alone_keep_a_pool_alive_while_their_processes_run(home: Path) -> None:
    with sleepers() as pool:
        assert not pool.alive()
        pool.prestart_live(SLEEPER)
        assert pool.alive()
        (home / "fail").touch()
        for pid in pool._live_pool.pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not pool.alive(), "death of the child")
        (home / "fail").unlink()


def test_an_engine_without_work_is_unloaded_and_comes_back(home: Path) -> None:
    with sleepers(idle_unload=0.2) as pool:
        pool.prestart(MEDIA, 1)
        (looker,) = pids(pool)
        transcribe(pool, home)
        until(lambda: pids(pool) == [looker], "end of the idle engine")  # the inspector stays
        assert pool.alive()
        transcribe(pool, home)


def test_a_resting_engine_makes_room_for_another(home: Path) -> None:
    with sleepers(memory_budget=1) as pool:
        transcribe(pool, home)
        (first,) = pids(pool)
        transcribe(pool, home, OTHER)
        (second,) = pids(pool)
        assert first != second
        assert not exists(first)


def test_the_memory_budget_holds_when_two_engines_start_at_once(home: Path) -> None:
    with sleepers(memory_budget=1) as pool:
        others = set(children_of(os.getpid()))  # what other tests have started
        most, running = 0, [threading.Thread(target=transcribe, args=(pool, home, key)) for key in (SLEEPER, OTHER)]
        for thread in running:
            thread.start()
        while any(thread.is_alive() for thread in running):
            most = max(most, len(set(children_of(os.getpid())) - others))
            time.sleep(0.01)
        assert most == 1


def test_what_fits_stays(home: Path) -> None:
    with sleepers(memory_budget=1 << 40) as pool:
        transcribe(pool, home)
        transcribe(pool, home, OTHER)
        assert len(pids(pool)) == 2


def test_each_gpu_gets_a_child_of_its_own(home: Path) -> None:
    engine_config = EngineConfig(devices=("cuda:0", "cuda:2"))
    with sleepers(slots=4, engine_config=engine_config) as pool:
        pool.prestart(replace(SLEEPER, device="cuda"), 4)
        (team,) = pool._teams.values()
        assert sorted(child.device for child in team.children) == ["cuda:0", "cuda:0", "cuda:2", "cuda:2"]
