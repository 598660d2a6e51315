"""`python -m tests.chaos.kills --kills N --seed S --backend sqlite|fleet`: kill -9 again and again while 30 clients submit.

A round is one kill. Before it, each client without a submission in flight begins one, under an Idempotency-Key of its own; a
client without an answer submits again. Killed is a process that takes jobs, a worker, or an engine process; some are killed while
they start again. After each wave of rounds everything comes to rest, and every job of the wave is checked: none that was
acknowledged is lost, none was published twice.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa

from sottovoce.job import LIVE, State
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key
from tests.chaos.checks import for_pages
from tests.chaos.media import CONFIG, Media
from tests.chaos.worlds import Embedded, Fleet, Log, World
from tests.servers import PATIENCE, Server, until

CLIENTS = 30
WAVE = 25
"""Rounds between two checks of everything."""
CHILD = 0.55
"""Share of the kills that hit an engine process."""
ANSWERS = 8
"""Jobs that are acknowledged between two kills, at most."""
INTERVAL = 5.0
"""Seconds after which the next kill comes all the same."""
REPEATED = 0.9
"""Share of the submissions that their clients repeat until they are answered."""
DOOMED = 0.4
"""Share of the starts that are killed too."""
START = 3.0
"""Seconds after the begin of a start within which a doomed one is killed."""
GIVEN_UP = 10.0
"""Seconds without an answer after which a client takes its submission for lost."""
PAUSE = 0.5
"""Seconds before a repetition."""
SETTINGS = {
    "SLEEPER_FACTOR": "0",
    "SOTTOVOCE_SLOTS": "2",
    "SOTTOVOCE_MAX_FAILURES": "50",
    "SOTTOVOCE_SUBMIT_RATE": "100000",
}
"""No sleep, so that many jobs pass; a job does not become poison when engine processes are killed under it again and again."""
EXCUSED = {"engine cannot be restarted": "the replacement was killed as well, while it started"}


class _Embedded(Embedded):
    def environment(self) -> dict[str, str]:
        return super().environment() | SETTINGS


class _Fleet(Fleet):
    def environment(self) -> dict[str, str]:
        return super().environment() | SETTINGS


WORLDS: dict[str, type[World]] = {"sqlite": _Embedded, "fleet": _Fleet}


@dataclass(slots=True)
class Wave:
    """What the clients of some rounds know. Threads add to it; each has keys of its own."""

    acked: dict[str, str] = field(default_factory=dict)  # idempotency key -> id
    unheard: set[str] = field(default_factory=set)  # keys that were not repeated
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        """Add *number* to the count of *what*."""
        with self._lock:
            self.counts[what] += number

    @property
    def kills(self) -> int:
        """The number of processes that were killed, which is that of the rounds."""
        return sum(number for what, number in self.counts.items() if what.startswith("killed "))


# ── clients ──


class Client(threading.Thread):
    """Submits one job for each turn that it is given, until it is answered 201 or it gives up."""

    def __init__(self, world: World, wave: Wave, name: str) -> None:
        super().__init__(name=name)
        self._world, self._wave = world, wave
        self._rng = random.Random(name)
        self._turn = threading.Semaphore(0)
        self._over = False
        self.busy = False
        media = world.media[0]
        head = (
            f'--k\r\nContent-Disposition: form-data; name="config"\r\n\r\n{CONFIG.decode()}\r\n'
            f'--k\r\nContent-Disposition: form-data; name="data_file"; filename="{media.path.name}"\r\n\r\n'
        )
        self._body = head.encode() + media.path.read_bytes() + b"\r\n--k--\r\n"

    def go(self) -> None:
        """Begin a submission, unless one is in flight."""
        if not self.busy:
            self.busy = True
            self._turn.release()

    def finish(self) -> None:
        """Wait for the submission in flight, which the server answers by now, and end."""
        self._over = True
        self._turn.release()
        self.join(PATIENCE)

    def run(self) -> None:
        """Submit at each turn."""
        number = 0
        while True:
            self._turn.acquire()
            if not self.busy:
                return
            number += 1
            self._submit(f"{self._world.mark}-{self.name}-{number}")
            self.busy = False
            if self._over:
                return

    def _submit(self, key: str) -> None:
        wave, repeats = self._wave, self._rng.random() < REPEATED
        while True:
            answer = self._post(key)
            wave.count("no answer" if answer is None else f"answer {answer[0]}")
            if answer is not None and answer[0] == 201:
                wave.acked[key] = answer[1]
                return
            if answer is not None and answer[0] < 500:
                wave.wrong.append(f"{key} was answered {answer}")
                return
            if not repeats:
                wave.unheard.add(key)
                return
            time.sleep(PAUSE)

    def _post(self, key: str) -> tuple[int, str] | None:
        """Status and the job's id (else the text of the error); `None` without an answer."""
        place = urlsplit(self._world.api.url)
        connection = http.client.HTTPConnection(str(place.hostname), int(place.port or 0), timeout=GIVEN_UP)
        headers = {
            "Authorization": f"Bearer {self._world.api.key}",
            "Content-Type": "multipart/form-data; boundary=k",
            "Idempotency-Key": key,
        }
        try:
            connection.request("POST", "/v2/jobs", self._body, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, str(json.loads(text)["id"]) if answer.status == 201 else text.decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


# ── kills ──


class Keeper(threading.Thread):
    """Starts a server again whenever it was killed, as a supervisor does. Some of these starts are killed too."""

    def __init__(self, server: Server, wave: Wave, name: str) -> None:
        super().__init__(name=name)
        self.server = server
        self._wave = wave
        self._rng = random.Random(name)
        self._struck = threading.Event()
        self._over = threading.Event()
        self.ready = threading.Event()
        self.ready.set()

    def strike(self) -> None:
        """kill -9 the server, which is ready."""
        self.ready.clear()
        self.server.kill()
        self._struck.set()

    def strike_child(self, rng: random.Random) -> bool:
        """kill -9 one of its engine processes; false if there is none."""
        children = self.server.children()
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(children), signal.SIGKILL)
        return bool(children)

    def finish(self) -> None:
        """Wait for a start that was begun, and end."""
        self._over.set()
        self._struck.set()
        self.join(PATIENCE)

    def run(self) -> None:
        """Wait for a kill, and start the server."""
        while not self._over.is_set():
            self._struck.wait()
            self._struck.clear()
            if not self.ready.is_set():
                self._start()
        if not self.ready.is_set():  # killed at the very end
            self._start()

    def _start(self) -> None:
        while self._rng.random() < DOOMED and not self._over.is_set():
            self._doomed_start()
        begun = time.monotonic()
        self.server.start()
        self._wave.count("starts")
        self._wave.count("ms of starts", round((time.monotonic() - begun) * 1000))
        self.ready.set()

    def _doomed_start(self) -> None:
        killer = threading.Thread(target=self._kill_soon, args=(self.server.process, self._rng.uniform(0, START)))
        killer.start()
        try:
            self.server.start()  # in time: it is ready, and killed all the same
        except AssertionError as error:
            if "server ended" not in str(error):
                raise
        killer.join()
        self._wave.count("killed while starting")
        self.server.kill()

    def _kill_soon(self, before: object, seconds: float) -> None:
        """Kill the process that comes after *before*, *seconds* after its begin."""
        until(lambda: self.server.process is not before, "process")
        time.sleep(seconds)
        if process := self.server.process:
            process.send_signal(signal.SIGKILL)


def _ready(keepers: list[Keeper]) -> list[Keeper]:
    """Those whose servers run; waits for one if none does."""
    while not (ready := [keeper for keeper in keepers if keeper.ready.is_set()]):
        time.sleep(0.02)
    return ready


def _wait_for_answers(wave: Wave, number: int, seconds: float) -> None:
    """Wait until *number* more jobs are acknowledged, for at most *seconds*."""
    wanted, end = len(wave.acked) + number, time.monotonic() + seconds
    while len(wave.acked) < wanted and time.monotonic() < end:
        time.sleep(0.005)


def _kill(world: World, keepers: list[Keeper], rng: random.Random, wave: Wave) -> None:
    """Kill one process of those that run."""
    keeper = rng.choice(_ready(keepers))
    if rng.random() < CHILD and keeper.strike_child(rng):
        wave.count("killed child")
        return
    keeper.strike()
    roles = "server" if len(keepers) == 1 else "api" if keeper.server is world.api else "worker"
    wave.count(f"killed {roles}")


def play(world: World, seed: str, rounds: int, end: float) -> Wave:
    """Run *rounds* rounds, or until the time *end*; wait for rest, and check."""
    wave, rng = Wave(), random.Random(seed)
    logs = [Log(server) for server in world.servers]
    keepers = [Keeper(server, wave, f"{seed}.{place}") for place, server in enumerate(world.servers)]
    clients = [Client(world, wave, f"{seed}.{number}") for number in range(CLIENTS)]
    for thread in (*keepers, *clients):
        thread.start()
    try:
        while wave.kills < rounds and time.monotonic() < end:
            _ready(keepers)
            for client in clients:
                client.go()
            _wait_for_answers(wave, rng.randint(0, ANSWERS), rng.uniform(0, INTERVAL))
            wave.count("submissions in flight at kills", sum(client.busy for client in clients))
            _kill(world, keepers, rng, wave)
    finally:
        for keeper in keepers:
            keeper.finish()
        for client in clients:
            client.finish()
    _rest(world)
    wave.wrong += _check(world, wave)
    wave.wrong += [
        str(line)[:1000]
        for log in logs
        for line in log.lines()
        if line.get("level") in {"error", "critical"} and line["event"] not in EXCUSED
    ]
    return wave


# ── afterwards ──


def _rest(world: World) -> None:
    """Wait until no job is live. Fails if none ends for `PATIENCE` seconds."""
    world.heal()
    while live := _live(world):
        until(lambda live=live: _live(world) < live, f"end of one of {live} jobs")  # type: ignore[misc]


def _live(world: World) -> int:
    with world.database.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(t.jobs.c.state.in_(LIVE))).scalar_one())


def _check(world: World, wave: Wave) -> list[str]:
    """The invariants that are broken, after some time to clean up."""
    deadline = time.monotonic() + 60
    while (wrong := list(_broken(world, wave))) and time.monotonic() < deadline:
        time.sleep(0.5)
        wave.counts["swept"] += world.sweep()
    return wrong


def _broken(world: World, wave: Wave) -> Iterator[str]:
    """Check all jobs of the wave, and that there are no others."""
    with world.database.reading() as connection:
        columns = (t.jobs.c.id, t.jobs.c.state, t.jobs.c.result_key, t.jobs.c.idempotency_key)
        rows = {row.id: row for row in connection.execute(sa.select(*columns)) if row.id not in world.known}
        done = sa.select(t.job_events.c.job_id, sa.func.count()).where(t.job_events.c.stage == "done")
        published = {row[0]: row[1] for row in connection.execute(done.group_by(t.job_events.c.job_id))}
    made = {row.idempotency_key: row.id for row in rows.values()}
    if len(made) != len(rows):
        yield "several jobs of one key"
    for key, job_id in wave.acked.items():
        if made.get(key) != job_id:
            yield f"{job_id} was acknowledged under {key}, and is lost: {made.get(key)}"
    if strangers := made.keys() - wave.acked.keys() - wave.unheard:
        yield f"jobs of no client: {strangers}"
    wave.counts["made unheard"] = len(made.keys() & wave.unheard)
    keys = _keys_by_job(world)
    states = world.queue.states(list(rows))
    for job_id, row in rows.items():
        if row.state != State.DONE or published.get(job_id) != 1:
            yield f"{job_id} is {row.state}, published {published.get(job_id)} times"
        elif keys.get(job_id, set()) - for_pages(job_id) != {media_key(job_id), row.result_key}:
            yield f"{job_id} has the blobs {keys.get(job_id)}, published {row.result_key}"
        elif not (state := states.get(job_id)) or not state.ended:
            yield f"{job_id}: the queue still has it: {state}"
    if strangers := keys.keys() - rows.keys() - world.known:
        yield f"blobs of no job: {strangers}"


def _keys_by_job(world: World) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for key in world.all_keys():
        found.setdefault(key.split("/")[1], set()).add(key)
    return found


def _contents(world: World, media: Media, wave: Wave) -> None:
    """Compare the transcripts of the wave's jobs with the right one, to the byte, and the media with what was sent."""
    with world.database.reading() as connection:
        rows = connection.execute(sa.select(t.jobs.c.id, t.jobs.c.result_key)).all()
    sent = media.path.read_bytes()

    async def read() -> None:
        for row in rows:
            if row.id in world.known or row.result_key is None:
                continue
            wave.counts["compared"] += 1
            if not media.matches(await world.blobs.get(row.result_key)):
                wave.wrong.append(f"{row.id} has another transcript")
            if await world.blobs.get(media_key(row.id)) != sent:
                wave.wrong.append(f"{row.id} has other media")

    asyncio.run(read())
    world.known |= {row.id for row in rows}


def campaign(backend: str, kills: int, seconds: float, seed: str, home: Path) -> Counter[str]:
    """At least *kills* rounds, or those of *seconds*, with a line of JSON for each wave; return the sums of the counts."""
    end = time.monotonic() + seconds
    total: Counter[str] = Counter()
    with WORLDS[backend](home, forked=True) as world:  # its servers are back sooner
        number = 0
        while (left := kills - total["rounds"]) > 0 and time.monotonic() < end:
            begun = time.monotonic()
            wave = play(world, f"{seed}.{number}", min(WAVE, left), end)
            _contents(world, world.media[0], wave)
            wave.counts += Counter({"rounds": wave.kills, "acknowledged": len(wave.acked), "wrong": len(wave.wrong)})
            total += wave.counts
            told = {"backend": backend, "seed": f"{seed}.{number}", "s": round(time.monotonic() - begun, 1)}
            print(json.dumps(told | {"counts": dict(wave.counts), "wrong": wave.wrong[:20]}), flush=True)
            number += 1
    return total


def main() -> int:
    """Run the rounds, print a line of JSON for each wave, and the sums."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3600.0, help="kill nothing after this time")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--backend", choices=[*WORLDS], default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sottovoce-kills-") as folder:
        total = campaign(options.backend, options.kills, options.seconds, options.seed, Path(folder))
    print(json.dumps({"backend": options.backend, "seed": options.seed, "total": dict(total)}))
    return int(total["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
