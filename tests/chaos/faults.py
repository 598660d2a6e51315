"""The faults: functions that submit jobs and cause a failure, in a table with their backends and the errors they may log.

Parts: kill -9, stopped processes and clocks, clients, databases and stores and disks, excused log lines, the table (`FAULTS`).
"""

import contextlib
import os
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa

from sottovoce.job import LIVE, State
from sottovoce.service.jobs.model import Job
from tests.chaos import attacks, losses
from tests.chaos.checks import Excuses
from tests.chaos.poison import poison_delivery
from tests.chaos.rounds import Round, kill, waiting_for
from tests.chaos.storage import disk_full, locked_region, read_only_blobs
from tests.chaos.worlds import LEASE, Embedded, Fleet, soon
from tests.servers import PATIENCE, Server, until

BOTH = ("sqlite", "fleet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """*kills*: a worker may end between its commit and its log line, or the disk has no room for the line.

    *where*: `any` world, one with `long` media (`--thorough`), or one on a `small` disk.
    """

    do: Callable[[Round], None]
    backends: tuple[str, ...] = BOTH
    kills: bool = False
    where: str = "any"
    excused: Excuses = field(default_factory=dict)


# ── kill -9 ──


def kill_api(round_: Round) -> None:
    """Kill the process that takes uploads: during the body, at about the time of its answer, or right after its 201."""
    world, rng = round_.world, round_.rng
    moment = rng.choice(("body", "answer", "answer", "after"))
    round_.ledger.counts[f"killed {moment}"] += 1
    match moment:
        case "body":
            sock = round_.half_a_body(rng.uniform(0.1, 0.95), rng.choice((100_000, 3_000_000)))
            round_.nap(0.2)
            kill(world.api)
            sock.close()
        case "answer":
            media, key = round_.media(), round_.key()
            with waiting_for(round_.in_background(lambda: round_.post(media, key))):
                round_.nap(0.15)
                kill(world.api)
        case _:
            for _ in range(rng.randint(1, 3)):
                round_.submit()
            round_.nap(0.1)
            kill(world.api)


def kill_worker(round_: Round) -> None:
    """Kill the process that runs a job at a boundary of its work; fleet: sometimes it restarts only after the job's end."""
    boundary = round_.rng.choice(("unclaimed", "claimed", "middle", "written", "published", "recorded", "random"))
    job_id = round_.submit()
    if round_.rng.random() < 0.3:
        round_.submit()
    round_.ledger.counts[f"killed {boundary}"] += 1
    _KILLS[boundary](round_, job_id)
    another = any(worker.process.poll() is None for worker in round_.world.workers)
    if another and round_.rng.random() < 0.5:
        round_.ended(job_id)


def _unclaimed(round_: Round, _job_id: str) -> None:
    for worker in round_.world.workers:
        kill(worker)


def _claimed(round_: Round, job_id: str) -> None:
    kill(round_.claimed(job_id))


def _middle(round_: Round, job_id: str) -> None:
    worker = round_.claimed(job_id)
    round_.nap(1.5)
    kill(worker)


def _written(round_: Round, job_id: str) -> None:
    """Kill when the transcript is stored and its publication is not committed."""
    world = round_.world
    worker = round_.claimed(job_id)
    if isinstance(world, Embedded):  # SQLite has one lock for the file, so the moment can only be caught, not forced
        soon(lambda: _transcripts(round_, job_id), "transcript blob", pause=0.0002)
        kill(worker)
        return
    with world.frozen(job_id):
        soon(lambda: _transcripts(round_, job_id), "transcript blob")
        round_.nap(0.1)
        kill(worker)


def _transcripts(round_: Round, job_id: str) -> list[str]:
    """The transcripts of any attempt: if the machine stalls for a lease, the first attempt may lose the job."""
    return [key for key in round_.world.keys(job_id) if key.endswith("/transcript")]


def _published(round_: Round, job_id: str) -> None:
    """Kill when the result is published, perhaps before the queue records it."""
    worker = round_.claimed(job_id)
    soon(lambda: round_.row(job_id).state is State.DONE, "publication", pause=0.0005)
    kill(worker)


def _recorded(round_: Round, job_id: str) -> None:
    """Kill when the result is published and the queue has not recorded it: the queue runs the step again.

    The lock also prevents the renewal of the lease. If the lease expires first, another attempt takes the job, and the round
    counts a missed moment.
    """
    world = round_.world
    if not isinstance(world, Fleet):
        _published(round_, job_id)
        return
    worker = round_.claimed(job_id)
    attempt = round_.row(job_id).attempt
    lock = sa.text("LOCK TABLE dbos.operation_outputs IN SHARE ROW EXCLUSIVE MODE")
    step = sa.text("SELECT 1 FROM dbos.operation_outputs WHERE workflow_uuid = :id").bindparams(id=job_id)
    with contextlib.ExitStack() as locks:
        frozen = locks.enter_context(contextlib.ExitStack())
        frozen.enter_context(world.frozen(job_id))

        def recorded() -> bool:
            with world.database.reading() as connection:
                return connection.execute(step).first() is not None

        soon(recorded, "record of the first step", pause=0.01)
        locks.enter_context(world.database.writing()).execute(lock)
        frozen.close()
        row = soon(lambda: _published_or_taken(round_, job_id, attempt), "publication")
        round_.ledger.counts["moment missed"] += row.state is not State.DONE
        kill(worker)


def _published_or_taken(round_: Round, job_id: str, attempt: int) -> Job | None:
    row = round_.row(job_id)
    return row if row.state is State.DONE or row.attempt > attempt else None


def _random(round_: Round, _job_id: str) -> None:
    round_.nap(3.0)
    kill(round_.rng.choice(round_.world.workers))


_KILLS: dict[str, Callable[[Round, str], None]] = {
    "unclaimed": _unclaimed,
    "claimed": _claimed,
    "middle": _middle,
    "written": _written,
    "published": _published,
    "recorded": _recorded,
    "random": _random,
}


def kill_long(round_: Round) -> None:
    """Kill the worker after the first of several windows was stored: the next attempt continues from there."""
    world = round_.world
    job_id = round_.submit(world.long)
    worker = round_.claimed(job_id)
    soon(lambda: any("/windows/" in key for key in world.keys(job_id)), "first window", pause=0.1)
    round_.nap(5.0)
    kill(worker)
    world.heal()
    round_.ended(job_id)
    with round_.client() as client:
        if "goes on at" not in client.get(f"/v2/jobs/{job_id}/log").text:
            raise AssertionError("the second attempt began from the start")


def kill_child(round_: Round) -> None:
    """Kill engine processes during a job (at most twice: three deaths are poison), or while idle."""
    if round_.rng.random() < 0.25:
        for pid in round_.rng.choice(round_.world.servers).children():
            _shoot(pid)
        round_.submit()
        return
    job_id = round_.submit()
    for attempt in range(1, round_.rng.randint(1, 2) + 1):
        worker = soon(lambda attempt=attempt: _claim_or_end(round_, job_id, attempt), "claim", pause=0.01)  # type: ignore[misc]
        round_.nap(0.8)
        if round_.row(job_id).state not in LIVE:
            return
        for pid in worker.children():
            _shoot(pid)


def _claim_or_end(round_: Round, job_id: str, attempt: int) -> Server | None:
    """The server that claimed the *attempt*; the API server if the job ended without it; None while it is pending."""
    for worker, line in round_.events("job claimed", job_id):
        if line["attempt"] == str(attempt):
            return worker
    return None if round_.row(job_id).state in LIVE else round_.world.api


def _shoot(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def terminate(round_: Round) -> None:
    """SIGTERM to a worker during a job, as in a rolling restart; then it starts again."""
    job_id = round_.submit()
    worker = round_.claimed(job_id)
    round_.nap(1.0)
    worker.stop()


# ── stopped processes, clocks, reapers ──


def stop_worker(round_: Round) -> None:
    """SIGSTOP for longer than the lease. Fleet: another worker finishes the job before the stopped one continues."""
    job_id = round_.submit()
    worker = round_.claimed(job_id)
    round_.nap(0.6)
    with _stopped(worker):
        if len(round_.world.workers) > 1:
            round_.ended(job_id)
        else:
            time.sleep(LEASE * 1.5)


@contextlib.contextmanager
def _stopped(server: Server) -> Iterator[None]:
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def clock_jump(round_: Round) -> None:
    """All our processes' clocks jump by an hour, forth or back, during the work; the database's does not."""
    first = round_.submit()
    round_.claimed(first)
    round_.world.jump(round_.rng.choice((3600, -3600)))
    round_.submit()
    round_.ended(first)
    if round_.rng.random() < 0.5:
        kill(round_.rng.choice(round_.world.workers))


def two_reapers(round_: Round) -> None:
    """Two more processes reap beside the workers without the interval lock; sometimes one is killed."""
    world = round_.world
    jobs = [round_.submit() for _ in range(2)]
    worker = round_.claimed(jobs[0])
    (going := world.home / "two reapers").touch()
    arguments = ("tests.chaos.reaper", str(world.database.url), str(int(LEASE * 1000)), str(going))
    reapers = [world.start_module(*arguments) for _ in range(2)]
    try:
        if round_.rng.random() < 0.5:
            kill(worker)
            for job_id in jobs:
                round_.ended(job_id)
        else:
            with _stopped(worker):
                for job_id in jobs:
                    round_.ended(job_id)
            time.sleep(1.0)  # while the stopped worker finds what it has lost
    finally:
        going.unlink()
        if killed := round_.rng.random() < 0.4:
            reapers[0].kill()
        codes = [reaper.wait(PATIENCE) for reaper in reapers][killed:]
    if any(codes):
        raise AssertionError(f"reapers ended with {codes}")


def second_server(round_: Round) -> None:
    """Start another server on the folder: it must refuse, and leave the first server's job alone."""
    job_id = round_.submit()
    round_.nap(1.0)
    world = round_.world
    second = world.run("serve", "--port", "0", "--data-dir", str(world.api.data), env=world.environment())
    if second.returncode != 1 or "another server is using region" not in second.stderr:
        raise AssertionError(f"the second server ended with {second.returncode}: {second.stderr[-500:]}")
    round_.ended(job_id)


# ── clients ──


def client_gone(round_: Round) -> None:
    """The client disconnects during the body."""
    for share in (0.99, round_.rng.uniform(0.05, 0.99)):
        sock = round_.half_a_body(share, round_.rng.choice((50_000, 2_000_000, 12_000_000)))
        round_.nap(0.3)
        if round_.rng.random() < 0.5:  # RST instead of FIN
            sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        sock.close()
    round_.submit()
    if bucket := round_.world.bucket:  # without a sweep: no process was killed
        until(lambda: not bucket.uploads(), "end of unfinished multipart uploads")


def cancel_finish(round_: Round) -> None:
    """DELETE with `force`: while queued, while running, or at about the moment at which the job finishes."""
    job_id = round_.submit()
    match round_.rng.choice(("queued", "claimed", "finish", "finish", "written")):
        case "queued":
            round_.nap(0.3)
        case "claimed":
            round_.claimed(job_id)
            round_.nap(0.5)
        case "finish":
            look = round_.world.keys
            soon(lambda: any("/windows/" in key or key.endswith("/transcript") for key in look(job_id)), "last window")
            round_.nap(0.05)
        case _:
            soon(lambda: _transcripts(round_, job_id), "transcript blob")
    if not round_.delete(job_id):
        raise AssertionError("the only client that deletes the job was not answered 200")
    round_.delete(job_id)


def late_write(round_: Round) -> None:
    """Delete the job while its worker is stopped, or while the store delays its transcript; then continue both."""
    world = round_.world
    job_id = round_.submit()
    if round_.rng.random() < 0.5:
        worker = round_.claimed(job_id)
        round_.nap(1.0)
        with _stopped(worker):
            round_.delete(job_id)
            round_.nap(LEASE * 1.5)
        return
    transcript = re.compile(rf"/jobs/{job_id}/[0-9]+/transcript\b")
    with world.proxy.holding(lambda method, at: method in {"PUT", "POST"} and bool(transcript.search(at))) as caught:
        soon(caught.is_set, "transcript on its way")
        round_.delete(job_id)
        round_.nap(1.0)


# ── databases, stores, disks ──


def postgres(round_: Round) -> None:
    """Restart PostgreSQL immediately, or cut all its connections, with jobs waiting and running."""
    world, rng = round_.world, round_.rng
    jobs = [round_.submit() for _ in range(2)]
    if rng.random() < 0.7:
        round_.claimed(jobs[0])
    round_.nap(1.5)
    media, key = round_.media(), round_.key()
    if rng.random() < 0.3:  # so that a reaper is active when the database stops
        kill(rng.choice(world.workers))
        round_.nap(LEASE * 1.5)
    with waiting_for(round_.in_background(lambda: round_.post(media, key))):
        round_.nap(0.1)
        if rng.random() < 0.7:
            world.postgres.restart(rng.choice((0.0, 0.5, 3.0)))
        else:
            _cut_connections(world)


def _cut_connections(world) -> None:
    cut = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    with world.database.writing() as connection:
        connection.execute(cut)


def locked(round_: Round) -> None:
    """Another process holds SQLite's write lock for a while; in a thorough run sometimes longer than the busy timeout."""
    job_id = round_.submit()
    if round_.rng.random() < 0.5:
        round_.claimed(job_id)
    media, key = round_.media(), round_.key()
    pause = 36.0 if round_.thorough and round_.rng.random() < 0.2 else round_.rng.uniform(0.5, 4.0)
    with round_.world.frozen(job_id):
        thread = round_.in_background(lambda: round_.post(media, key))
        time.sleep(pause)
    thread.join()


def s3(round_: Round) -> None:
    """S3 answers 500, stalls or disconnects for a while, during an upload and during work."""
    world, rng = round_.world, round_.rng
    mode = rng.choice(("error", "stall", "drop"))
    round_.ledger.counts[mode] += 1
    job_id = round_.submit()
    if rng.random() < 0.7:
        round_.claimed(job_id)
        round_.nap(1.2)
    world.proxy.break_down(mode)
    media, key = round_.media(), round_.key()
    with waiting_for(round_.in_background(lambda: round_.post(media, key))):
        if rng.random() < 0.3:
            round_.half_a_body(0.9, 12_000_000).close()
        time.sleep(rng.uniform(0.5, 4.0))
        world.proxy.heal()


def small_files(round_: Round) -> None:
    """No file of the server may grow beyond a few kilobytes for a while (RLIMIT_FSIZE): uploads, blobs, scratch, SQLite."""
    rng = round_.rng
    job_id = round_.submit()
    if rng.random() < 0.6:
        round_.claimed(job_id)
        round_.nap(1.0)
    servers = rng.choice(([round_.world.api], round_.world.workers))
    limit = rng.choice((0, 4096, 60_000, 1 << 20))
    _limit_files(servers, limit)
    media, key = round_.media(), round_.key()
    with waiting_for(round_.in_background(lambda: round_.post(media, key))):
        time.sleep(rng.uniform(0.3, 3.0))
        _limit_files(servers, None)


def _limit_files(servers: list[Server], limit: int | None) -> None:
    """Limit the size in bytes of files that *servers* and their engine processes write from now on; `None`: the hard limit."""
    # parents first: a process that starts meanwhile inherits the limit
    for pid in [server.process.pid for server in servers] + [pid for server in servers for pid in server.children()]:
        with contextlib.suppress(ProcessLookupError):
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if limit is None else limit, hard))


def reserve(round_: Round) -> None:
    """A server whose reserve exceeds the free space refuses media, and still finishes its accepted jobs."""
    world = round_.world
    job_id = round_.submit()
    round_.nap(0.5)
    world.api.stop()
    world.api.environment["SOTTOVOCE_RESERVE_BYTES"] = str(1 << 60)
    try:
        world.api.start()
        if round_.post(round_.media(), round_.key()) is not None or round_.ledger.counts["answer 507"] != 1:
            raise AssertionError(f"accepted in spite of the reserve: {round_.ledger.counts}")
        round_.ended(job_id)
    finally:
        world.api.environment["SOTTOVOCE_RESERVE_BYTES"] = "0"
        world.api.stop()
        world.api.start()


# ── excused log lines ──

AWAY: Excuses = {}
DISK: Excuses = AWAY | {
    "Cancel . running task": "uvicorn cuts off an upload that the client holds open",
    "not a log line": "the log is on the same disk, and lines were cut",
    # DBOS tries again when SQLite is locked or PostgreSQL is away, but not here: the run of the workflow ends, and its entry is
    # failed, or still assigned to its worker if that cannot be written either. The reaper requeues both when the lease expires.
    r"Exception encountered in asynchronous workflow:.*\(sqlite3\.OperationalError\)": "the queue cannot record a step",
}

FAULTS: dict[str, Fault] = {
    "kill-api": Fault(do=kill_api, kills=True),
    "kill-worker": Fault(do=kill_worker, kills=True),
    "kill-child": Fault(
        do=kill_child,
        excused={
            "engine cannot be restarted": "the replacement was killed as well, while it started",
        },
    ),
    "terminate": Fault(do=terminate, kills=True),  # jobs that outlast the drain are cut off, as by a kill
    "stop-worker": Fault(do=stop_worker),
    "clock-jump": Fault(do=clock_jump, kills=True),
    "client-gone": Fault(do=client_gone),
    "cancel-finish": Fault(do=cancel_finish),
    "two-reapers": Fault(do=two_reapers, backends=("fleet",), kills=True),
    "late-write": Fault(do=late_write, backends=("fleet",)),
    "postgres": Fault(do=postgres, backends=("fleet",), kills=True, excused=AWAY),
    "s3": Fault(do=s3, backends=("fleet",), excused=AWAY),
    "small-files": Fault(do=small_files, excused=DISK, kills=True),
    "locked": Fault(do=locked, backends=("sqlite",), excused=AWAY),
    "locked-region": Fault(do=locked_region, excused=AWAY, where="long"),
    "read-only-blobs": Fault(do=read_only_blobs, backends=("fleet",), excused=AWAY),
    "read-only-folder": Fault(do=read_only_blobs, backends=("sqlite",), excused=AWAY, where="small"),
    "reserve": Fault(do=reserve, backends=("sqlite",), kills=True),  # it restarts the server, which drains for a second
    "poison-delivery": Fault(
        do=poison_delivery, excused={"delivery failed with an internal error": "the operator is told of each"}
    ),
    "second-server": Fault(do=second_server, backends=("sqlite",)),
    "lost-key": Fault(do=losses.lost_key, kills=True),  # it restarts the server, which drains for a second
    "lost-database": Fault(do=losses.lost_database, kills=True),
    "lost-blob": Fault(
        do=losses.lost_blob,
        excused={
            "result of a done job (is missing|cannot be read)": "the transcript was removed from the store, or damaged",
            "request failed.*ResultLost": "the client that asked for it got 500",
        },
    ),
    "disk-full": Fault(do=disk_full, backends=("sqlite",), excused=DISK, kills=True, where="small"),
    # attacks: what they do to one server does not depend on the backend
    "trailers": Fault(do=attacks.trailers, backends=("sqlite",)),
    "idle-connections": Fault(do=attacks.idle_connections, backends=("sqlite",)),
    "slow-reader": Fault(do=attacks.slow_reader, backends=("sqlite",)),
    "big-config": Fault(do=attacks.big_config, backends=("sqlite",)),
    "long-media": Fault(do=attacks.long_media, backends=("sqlite",)),
    "low-descriptors": Fault(do=attacks.low_descriptors, backends=("sqlite",)),
    "kill-long": Fault(do=kill_long, kills=True, where="long"),
}
"""By name; those on a `small` disk run in a namespace of their own (`tests.chaos.smalldisk`)."""
