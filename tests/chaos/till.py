"""The credits fault: clients spend small balances while processes are killed; then the ledgers of both databases are compared.

Eight clients of two workspaces submit media at its estimated cost, media that costs more than estimated, and files that are no
media; they delete jobs, repeat submissions with the same idempotency key, and run out of credits. Meanwhile processes get
kill -9, another process adds credits, and a command that is sometimes killed retries rejected jobs.

Parts: the worlds with billing, `Till` (access to the ledger), media, `Run` (clients, faults, the round, the checks), `play`.
"""

import asyncio
import itertools
import json
import os
import random
import subprocess
import threading
import time
import wave
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from sottovoce.job import LIVE, State
from sottovoce.service.billing import ledger
from sottovoce.service.billing.credit_holds import Pricing
from sottovoce.service.billing.settlement import SettlementJob
from sottovoce.service.identity import api_keys, workspaces
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, sqlite_url
from tests import prefork
from tests.chaos.media import CONFIG
from tests.chaos.worlds import Embedded, Fleet, World
from tests.servers import PATIENCE, tls, until

CLIENTS = 8
SUBMISSIONS = 3
TRIES = 12
DEPOSIT = 5
"""Credits of each workspace at the start of a round; its four clients try to spend three times as much."""
REGION = "eu1"
PRICING = Pricing(billing=True, per_minute=1)
BILLED = {"SOTTOVOCE_BILLING": "true", "SOTTOVOCE_CREDITS_PER_MINUTE": "1", "SOTTOVOCE_MAX_FAILURES": "1"}
"""One death of an engine process is enough for a job to be rejected."""
NO_MEDIA = "no media.wav"


class _Billed(World):
    def environment(self) -> dict[str, str]:
        return super().environment() | BILLED


class BilledEmbedded(_Billed, Embedded):
    """One process on SQLite, with billing."""


class BilledFleet(_Billed, Fleet):
    """One API and two workers on PostgreSQL and S3, with billing."""


WORLDS: dict[str, type[World]] = {"sqlite": BilledEmbedded, "fleet": BilledFleet}


class Till:
    """The harness's own access to the ledger of *world*."""

    def __init__(self, world: World) -> None:
        self.world = world
        url = world.api.environment.get("SOTTOVOCE_CONTROL_DATABASE_URL")
        self.control = Database(url or sqlite_url(world.api.data / "control.db"))
        plain, untold, wrong = _media(world.home / "paid media")
        self.media = [plain, untold, untold, wrong, *(each.path for each in world.media)]
        self.kills = 0
        self.keys = [world.api.key, "key-of-the-second-workspace"]
        with self.control.writing() as connection:
            _, project = workspaces.open_workspace(connection, "second")
            api_keys.create_key(connection, project_id=project, name="second", secret=self.keys[1])
            self.workspaces = list(
                connection.execute(sa.select(t.workspaces.c.id).order_by(t.workspaces.c.id)).scalars()
            )

    def add(self, workspace_id: int, amount: int) -> None:
        """Add credits, as an operator does in a process of its own."""
        with self.control.writing() as connection:
            ledger.add(connection, workspace_id, amount)

    def deal(self, workspace_id: int) -> None:
        """Set the balance to `DEPOSIT`."""
        with self.control.writing() as connection:
            missing = DEPOSIT - ledger.balance(connection, workspace_id)
            if missing > 0:
                ledger.add(connection, workspace_id, missing)
            if missing < 0:
                ledger.remove(connection, workspace_id, -missing)

    def held(self) -> list[str]:
        """Jobs with an open hold."""
        with self.control.reading() as connection:
            return [hold.job_id for hold in ledger.open_holds(connection, REGION, after="", limit=10_000)]

    def entries(self, workspace_id: int) -> list[ledger.Entry]:
        """The entries of the workspace's ledger, oldest first."""
        with self.control.reading() as connection:
            return ledger.newest(connection, workspace_id, 100_000)[::-1]

    def reconcile(self) -> None:
        """Settle as the servers do after their time of grace."""
        settler = SettlementJob(self.control, self.world.database, REGION, PRICING, Metrics(), grace_ms=-1)
        asyncio.run(settler.tick())


@contextmanager
def opened(backend: str, home: Path, *, forked: bool = False) -> Iterator[Till]:
    """A world with billing, and its till."""
    with WORLDS[backend](home, forked=forked) as world:
        till = Till(world)
        try:
            yield till
        finally:
            till.control.close()


def _media(folder: Path) -> list[Path]:
    """Seventy seconds of silence, the same in a container without a duration, and a file that is no media."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, untold, wrong = (folder / name for name in ("two minutes.wav", "untold.flac", NO_MEDIA))
    with wave.open(str(plain), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        out.writeframes(bytes(2 * 8000 * 70))
    _untold(plain, untold)
    wrong.write_bytes(b"this is no media" * 64)
    return [plain, untold, wrong]


def _untold(source: Path, target: Path) -> None:
    import av

    with av.open(str(source)) as heard, av.open(str(target), "w", format="flac") as out:
        stream = out.add_stream("flac", rate=8000, layout="mono")
        for frame in heard.decode(audio=0):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    flac = bytearray(target.read_bytes())
    flac[21] &= (
        0xF0  # the last 36 bits of STREAMINFO's third word: the number of samples, 0 for unknown (RFC 9639 §8.2)
    )
    flac[22:26] = bytes(4)
    target.write_bytes(flac)


class Run:
    """One round: the clients' actions and the answers to them."""

    def __init__(self, till: Till, seed: str) -> None:
        self.till = till
        self.world = till.world
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.acked: set[str] = set()
        self._spending = threading.Event()

    # ── clients ──

    def client(self, number: int) -> None:
        """Submit jobs one after the other; delete some, and repeat some submissions."""
        rng = random.Random(f"{self.seed} client {number}")
        for count in range(SUBMISSIONS):
            key = f"{self.world.mark} {self.seed} {number} {count}"
            path = rng.choice(self.till.media)
            job_id = None
            for _ in range(TRIES):
                job_id, heard = self._post(number, path, key)
                if job_id is not None or rng.random() < (0.5 if heard else 0.1):
                    break
                time.sleep(rng.uniform(0.2, 1.0))
            if job_id is not None and rng.random() < 0.2:
                time.sleep(rng.uniform(0, 0.3))
                self._ask(number, "DELETE", f"/v2/jobs/{job_id}?force=true")

    def _post(self, number: int, path: Path, key: str) -> tuple[str | None, bool]:
        """The id of the job or None, and True if there was an answer."""
        with path.open("rb") as file:
            form = {"data": {"config": CONFIG.decode()}, "files": {"data_file": (path.name, file)}}
            answer = self._ask(number, "POST", "/v2/jobs", headers={"Idempotency-Key": key}, **form)
        if answer is None or answer.status_code != httpx.codes.CREATED:
            return None, answer is not None
        self.acked.add(job_id := str(answer.json()["id"]))
        return job_id, True

    def _ask(self, number: int, method: str, path: str, **options: Any) -> httpx.Response | None:
        bearer = {"Authorization": f"Bearer {self.till.keys[number % 2]}"}
        options["headers"] = bearer | options.get("headers", {})
        try:
            answer = httpx.request(method, self.world.api.url + path, timeout=PATIENCE, **options, verify=tls())
        except httpx.HTTPError:
            self.counts["unheard"] += 1
            return None
        self.counts[f"{method} {answer.status_code}"] += 1
        return answer

    # ── faults ──

    def damage(self, rng: random.Random) -> None:
        """Kill a server or engine processes, retry a job, or add a few credits."""
        match rng.choices(("server", "child", "retry", "add"), weights=(5, 3, 2, 2))[0]:
            case "server":
                self._kill(rng)
            case "child":
                self.counts["children"] += sum(map(_killed, rng.choice(self.world.workers).children()))
            case "retry":
                self._retry(rng)
            case _:
                self.till.add(rng.choice(self.till.workspaces), rng.randint(1, 3))

    def _kill(self, rng: random.Random) -> None:
        server = rng.choice(self.world.servers)
        server.kill()
        time.sleep(rng.uniform(0, 0.3))
        server.start()
        self.till.kills += 1
        self.counts["killed"] += 1

    def _retry(self, rng: random.Random) -> None:
        """Run `sottovoce jobs retry`, and sometimes kill it."""
        with self.world.database.reading() as connection:
            rejected = connection.execute(
                sa.select(t.jobs.c.id).where(t.jobs.c.state == State.REJECTED.value)
            ).scalars()
            found = sorted(rejected)
        if not found:
            return
        command = ["jobs", "retry", rng.choice(found), "--data-dir", str(self.world.api.data)]
        environment = prefork.bare() | self.world.api.environment
        with Path(os.devnull).open("r+b") as nothing:
            process = prefork.Process(command, env=environment, files=(nothing, nothing, nothing))
        try:
            process.wait(rng.uniform(0.3, 2.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.counts["retries killed"] += 1
        else:
            self.counts[f"retry {process.returncode}"] += 1

    # ── the round ──

    def play(self) -> list[str]:
        """Spend, inject faults, and wait until all is settled; return the broken invariants."""
        rng = random.Random(self.seed)
        for workspace_id in self.till.workspaces:
            self.till.deal(workspace_id)
        with ThreadPoolExecutor(CLIENTS) as clients:
            spending = [clients.submit(self.client, number) for number in range(CLIENTS)]
            time.sleep(rng.uniform(0, 2.0))
            self._kill(rng)
            while not all(each.done() for each in spending):
                time.sleep(rng.uniform(0.2, 1.5))
                self.damage(rng)
            for each in spending:
                each.result()
        self.world.heal()
        until(lambda: not self._live(), "end of all jobs")
        until(self._settled, "settling of all jobs by the servers")
        # no submissions follow, so holds without a job, or for a retry that was killed, can be settled without grace
        until(self._reconciled, "reconciliation")
        return self.wrong()

    def _live(self) -> bool:
        live = sa.select(t.jobs.c.id).where(t.jobs.c.state.in_([state.value for state in LIVE]))
        with self.world.database.reading() as connection:
            return connection.execute(live).first() is not None

    def _settled(self) -> bool:
        """True if no finished job has a hold; rejected jobs do not count, since a retry may hold credits for them."""
        held = self.till.held()
        ended = sa.select(t.jobs.c.id).where(t.jobs.c.id.in_(held), t.jobs.c.state != State.REJECTED.value)
        with self.world.database.reading() as connection:
            return connection.execute(ended).first() is None

    def _reconciled(self) -> bool:
        self.till.reconcile()
        return not self.till.held()

    # ── the checks ──

    def wrong(self) -> list[str]:
        """The broken invariants."""
        with self.till.control.reading() as connection:
            books = ledger.accounts(connection)
        found = [f"a balance is not the sum of its entries: {book}" for book in books if not book.right]
        with self.world.database.reading() as connection:
            names = ("id", "workspace_id", "reason", "duration_ms", "media_bytes", "finished_at")
            rows = connection.execute(sa.select(*(t.jobs.c[name] for name in names))).mappings()
            jobs: dict[str, Mapping[str, Any]] = {row["id"]: dict(row) for row in rows}
        found += [f"{job_id} is lost" for job_id in self.acked - jobs.keys()]
        paid: Counter[str] = Counter()
        broke: set[str] = set()  # jobs whose workspace was empty at some moment after the hold
        for workspace_id in self.till.workspaces:
            entries = self.till.entries(workspace_id)
            after = list(itertools.accumulate(entry.amount for entry in entries))
            if min(after) < 0:
                found.append(f"workspace {workspace_id} was at {min(after)}")
            last_empty = max((place for place, left in enumerate(after) if left == 0), default=-1)
            for place, entry in enumerate(entries):
                if entry.job_id is None:
                    continue
                paid[entry.job_id] -= entry.amount
                if place <= last_empty:
                    broke.add(entry.job_id)
                if entry.job_id in jobs and jobs[entry.job_id]["workspace_id"] != workspace_id:
                    found.append(f"{entry.job_id} was charged to workspace {workspace_id}")
        short = self._short()
        for job_id in paid.keys() | jobs.keys():
            found += self._charged(paid[job_id], jobs.get(job_id, {"id": job_id}), short.get(job_id), job_id in broke)
        if (unsaid := self.counts["short, not said"]) > self.till.kills:
            found.append(f"{unsaid} jobs were charged too little without a log line, after {self.till.kills} kills")
        return found + self._failures()

    def _short(self) -> dict[str, int]:
        """The missing credits of each job, as the servers logged them."""
        lines = (line for server in self.world.servers for line in server.events("credits fell short"))
        return {line["job"]: line["short"] for line in lines}

    def _charged(self, paid: int, row: Mapping[str, Any], short: int | None, broke: bool) -> list[str]:
        done = row.get("finished_at") is not None and row["reason"] is None
        cost = PRICING.cost(row["duration_ms"], row["media_bytes"]) if done else 0
        self.counts["done" if done else "not done"] += 1
        missing = cost - paid
        if missing == 0 and not short:
            return []
        # the process may have been killed before it logged the missing credits
        if broke and 0 < missing < cost and short in {missing, None}:
            self.counts["short" if short else "short, not said"] += 1
            return []
        return [f"a job was charged {paid} instead of {cost}, {short} short: {row}"]

    def _failures(self) -> list[str]:
        """Log lines of the servers about internal errors."""
        events = {"request failed", "media of a refused job not removed"}
        lines = (line for server in self.world.servers for line in server.lines())
        return [str(line)[:1500] for line in lines if line["event"] in events]


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return False
    return True


def play(till: Till, seed: str) -> list[str]:
    """Run one round and print it as a line of JSON; return the broken invariants."""
    begun = time.monotonic()
    run = Run(till, f"credits.{seed}")
    try:
        wrong = run.play()
    except AssertionError as error:
        wrong = [str(error), *run.wrong()]
        till.world.heal()
    told = {"backend": till.world.backend, "fault": "credits", "seed": seed, "s": round(time.monotonic() - begun, 1)}
    print(json.dumps({**told, "counts": dict(sorted(run.counts.items())), "wrong": wrong}), flush=True)
    return wrong
