"""One round: a seed, a fault, time to recover, and the checks."""

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from sottovoce.job import LIVE
from sottovoce.service.jobs.model import Job
from tests.chaos import checks
from tests.chaos.media import CONFIG, Media
from tests.chaos.worlds import Log, World, soon
from tests.servers import Server, until

HEALING = 60.0
"""Seconds that the invariants have to become true; after that they are broken."""
TIDYING = 2.0
"""Seconds after which the harness runs the hourly sweep itself."""


@dataclass(slots=True)
class Ledger:
    """The answers that clients received."""

    acked: dict[str, Media] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)  # idempotency keys that got a 4xx or 507: there must be no row
    unheard: dict[str, Media] = field(default_factory=dict)  # idempotency keys without an answer, or with a 5xx
    counts: Counter[str] = field(default_factory=Counter)


class Round:
    """The state of one round, and the operations for faults."""

    def __init__(self, world: World, seed: str, *, thorough: bool = False) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.thorough = thorough
        self.ledger = Ledger()
        self.logs = {id(server): Log(server) for server in world.servers}
        self._keys = 0
        self._seed = seed

    # ── clients ──

    def media(self) -> Media:
        """A small file."""
        return self.rng.choice(self.world.media)

    def key(self) -> str:
        """A fresh idempotency key."""
        self._keys += 1
        return f"{self.world.mark}-{self._seed}-{self._keys}"

    def client(self) -> httpx.Client:
        """A client of the server that takes jobs."""
        return self.world.api.client()

    def submit(self, media: Media | None = None, config: str = CONFIG.decode()) -> str:
        """Submit a job that must be accepted; return its id."""
        found = self.post(media or self.media(), self.key(), config)
        if found is None:
            raise AssertionError(f"a plain submission was not taken: {self.ledger}")
        return found

    def post(
        self, media: Media, key: str, config: str = CONFIG.decode(), answers: list[httpx.Response] | None = None
    ) -> str | None:
        """Submit and record the answer, also in *answers*: return the job's id, or None after a refusal or no answer."""
        ledger = self.ledger
        try:
            with self.client() as client, media.path.open("rb") as file:
                answer = client.post(
                    "/v2/jobs",
                    data={"config": config},
                    files={"data_file": (media.path.name, file)},
                    headers={"Idempotency-Key": key},
                )
        except httpx.HTTPError:
            ledger.unheard[key] = media
            return None
        ledger.counts[f"answer {answer.status_code}"] += 1
        if answers is not None:
            answers.append(answer)
        if answer.status_code == 201:
            job_id = str(answer.json()["id"])
            ledger.acked[job_id] = media
            ledger.unheard.pop(key, None)
            return job_id
        if answer.status_code < 500 or answer.status_code == 507:
            ledger.refused.add(key)
        else:
            ledger.unheard[key] = media
        return None

    def in_background(self, work: Callable[[], object]) -> threading.Thread:
        """Start *work* on a thread."""
        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def delete(self, job_id: str) -> bool:
        """Delete the job with `force`; True if the server answered 200."""
        with self.client() as client:
            answer = client.delete(f"/v2/jobs/{job_id}", params={"force": "true"})
        self.ledger.counts[f"delete {answer.status_code}"] += 1
        if answer.status_code == 200:
            self.ledger.deleted.add(job_id)
        return answer.status_code == 200

    def half_a_body(self, share: float, size: int) -> socket.socket:
        """A connection on which the first *share* of an upload of *size* bytes was sent, unless the server disconnected."""
        head = (
            '--chaos\r\nContent-Disposition: form-data; name="config"\r\n\r\n'
            f"{CONFIG.decode()}\r\n"
            '--chaos\r\nContent-Disposition: form-data; name="data_file"; filename="a.wav"\r\n\r\n'
        ).encode()
        body = head + self.rng.randbytes(size) + b"\r\n--chaos--\r\n"
        place = urlsplit(self.world.api.url)
        sock = socket.create_connection((place.hostname, place.port))
        request = (
            f"POST /v2/jobs HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {self.world.api.key}\r\n"
            f"Content-Type: multipart/form-data; boundary=chaos\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with contextlib.suppress(ConnectionError):
            sock.sendall(request.encode() + body[: int(len(body) * share)])
        return sock

    # ── moments ──

    def events(self, event: str, job_id: str | None = None) -> list[tuple[Server, dict[str, object]]]:
        """Lines about *event*, and about *job_id*, of all processes."""
        return [
            (server, line)
            for server in self.world.servers
            for line in self.logs[id(server)].lines()
            if line["event"] == event and (job_id is None or line.get("job") == job_id)
        ]

    def claimed(self, job_id: str) -> Server:
        """The worker that has just claimed the job."""
        found = soon(lambda: self.events("job claimed", job_id), "claim", pause=0.01)
        return found[-1][0]

    def row(self, job_id: str) -> Job:
        """The job's row, which must be there."""
        found = self.world.row(job_id)
        if found is None:
            raise AssertionError(f"{job_id} has no row")
        return found

    def ended(self, job_id: str) -> None:
        """Wait until the job is no longer live."""
        until(lambda: self.row(job_id).state not in LIVE, f"end of {job_id}")

    def nap(self, longest: float) -> None:
        """Sleep for a random time of at most *longest* seconds."""
        time.sleep(self.rng.uniform(0, longest))

    # ── afterwards ──

    def settle(self) -> None:
        """Heal the world, repeat some submissions without an answer, and wait until no job is live."""
        world, ledger = self.world, self.ledger
        world.heal()
        for key, media in list(ledger.unheard.items()):
            if self.rng.random() < 0.5:
                until(lambda key=key, media=media: self.post(media, key), "answer to a retried submission")  # type: ignore[misc]
                ledger.counts["asked again"] += 1
            elif (found := world.by_key(key)) is not None:
                ledger.acked[found] = media
                ledger.counts["made unheard"] += 1
        world.known |= ledger.acked.keys()
        for job_id in ledger.acked:
            self.ended(job_id)

    def faults(self, excused: checks.Excuses, *, kills: bool) -> list[str]:
        """The invariants that are still broken after `HEALING` seconds, and unexplained log lines."""
        begun = time.monotonic()
        while True:
            found = checks.look(self, kills=kills)
            if not found or time.monotonic() > begun + HEALING:
                return found + checks.errors(self, excused)
            time.sleep(0.3)
            if time.monotonic() > begun + TIDYING:
                self.ledger.counts["swept"] += self.world.sweep()


def calm(world: World) -> None:
    """Run one round without a fault, so that later ones start from a working state."""
    playing = Round(world, "calm")
    playing.submit()
    playing.settle()
    if wrong := playing.faults({}, kills=False):
        raise AssertionError("\n".join(wrong))


def kill(server: Server) -> None:
    """kill -9."""
    server.kill()


@contextlib.contextmanager
def waiting_for(thread: threading.Thread):
    """Run the body, then wait for *thread*, whose client has a deadline of its own."""
    try:
        yield
    finally:
        thread.join()
