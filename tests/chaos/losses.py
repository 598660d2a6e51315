"""The faults in which a part of a server's data is lost: the file of keys, a database, a stored transcript.

A server that starts without the part must refuse in one line and leave everything as it is; put back, nothing has changed.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from sottovoce.service.storage.encryption import new_key
from tests.chaos.rounds import Round
from tests.chaos.worlds import Embedded, World
from tests.servers import until


def refusal(world: World, **changes: str) -> str:
    """Start the server of *world* once more as a process of its own, with *changes* of its environment; return the line with
    which it refuses.
    """
    server = world.api
    environment = {"SOTTOVOCE_SLOTS": "1"} | server.environment | changes
    done = world.run(*server.COMMAND, "--data-dir", str(server.data), env=environment)
    told = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    if done.returncode != 1 or len(told) != 1 or not told[0].startswith("Error: "):
        raise AssertionError(f"the server ended with {done.returncode}: {done.stderr[-2000:]}")
    return told[0].removeprefix("Error: ")


def _expect(text: str, *parts: str) -> None:
    if missing := [part for part in parts if part not in text]:
        raise AssertionError(f"{text!r} does not say {missing}")


def _is_whole(round_: Round, job_id: str) -> None:
    """Check that clients see the config of a job as it was submitted."""
    with round_.client() as client:
        shown = client.get(f"/v2/jobs/{job_id}").json()["job"]
    if "errors" in shown or shown["config"]["type"] != "transcription":
        raise AssertionError(f"{job_id} is shown as {shown}")


# ── the file of keys ──


def lost_key(round_: Round) -> None:
    """The file of keys is replaced under a running server, then missing or another one at a start; then it is put back."""
    world = round_.world
    job_id = round_.submit()
    round_.ended(job_id)
    path = Path(world.api.environment.get("SOTTOVOCE_SECRETS_KEY_FILE", world.api.data / "secrets.key"))
    kept = path.with_name("secrets.kept")
    shutil.copy(path, kept)
    try:
        _replace(path, new_key())
        with round_.client() as client:
            until(lambda: client.get("/health/ready").json()["keys"] is False, "a server that is not ready")
            _costs_only_the_echo(client, job_id)
        if isinstance(world, Embedded):
            world.api.stop()
        _expect(refusal(world), f"no key of {path} decrypts the configs", "--begin-anew secrets-key")
        path.unlink()
        text = refusal(world)
        _expect(text, str(path))
        if path.exists():
            raise AssertionError("a new key was made")
    finally:
        shutil.copy(kept, path)
    world.heal()
    with round_.client() as client:
        until(lambda: client.get("/health/ready").status_code == 200, "a server that is ready")
    _is_whole(round_, job_id)


def _replace(path: Path, key: bytes) -> None:
    draft = path.with_name("secrets.draft")
    draft.write_bytes(key)
    draft.replace(path)


def _costs_only_the_echo(client, job_id: str) -> None:
    """Check that the list, the job and its transcript are there although no key decrypts the config."""
    listed = client.get("/v2/jobs").json()["jobs"]
    shown = client.get(f"/v2/jobs/{job_id}").json()["job"]
    if (
        job_id not in {job["id"] for job in listed}
        or "config" in shown
        or "cannot be shown" not in str(shown["errors"])
    ):
        raise AssertionError(f"{job_id} is shown as {shown}")
    if client.get(f"/v2/jobs/{job_id}/transcript", params={"format": "txt"}).status_code != 200:
        raise AssertionError(f"{job_id} has no transcript")


# ── databases ──


def lost_database(round_: Round) -> None:
    """The region database or the control database is missing, emptied or truncated at a start; then it is put back."""
    world, rng = round_.world, round_.rng
    job_id = round_.submit()
    round_.ended(job_id)
    if isinstance(world, Embedded):
        world.api.stop()
        path, name = rng.choice(((world.region / "region.db", "region"), (world.api.data / "control.db", "control")))
        lose, says = rng.choice(_LOSSES)
        with world.disconnected(), _lost(path, lose):
            _expect(refusal(world), str(path), says, "restore it from the backup", *_flag(name, says))
    else:
        name = rng.choice(("region", "control"))
        variable = {"region": "SOTTOVOCE_DATABASE_URL", "control": "SOTTOVOCE_CONTROL_DATABASE_URL"}[name]
        url = world.postgres.create(f"lost_{round_.key().replace('-', '_').replace('.', '_')}"[-60:])
        _migrate(world, **{variable: url})
        _expect(refusal(world, **{variable: url}), f"--begin-anew {name}-database")
    round_.ledger.counts[f"lost {name}"] += 1
    world.heal()
    _is_whole(round_, job_id)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


_LOSSES: tuple[tuple[Callable[[Path], None], str], ...] = (
    (Path.unlink, "is missing"),
    (_empty, "is empty"),
    (_truncate, "is damaged"),
)


def _flag(name: str, says: str) -> list[str]:
    return [] if says == "is damaged" else [f"--begin-anew {name}-database"]


@contextlib.contextmanager
def _lost(path: Path, lose: Callable[[Path], None]) -> Iterator[None]:
    """Lose the file of a stopped server while the context is open. Raises if a write-ahead log still has a part of it."""
    if (log := path.with_name(path.name + "-wal")).exists() and log.stat().st_size:
        raise AssertionError(f"{log} was not emptied")
    kept = path.with_name("kept.db")
    shutil.copy(path, kept)
    try:
        lose(path)
        yield
    finally:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        kept.replace(path)


def _migrate(world: World, **changes: str) -> None:
    done = world.run("migrate", "--data-dir", str(world.api.data), env=world.api.environment | changes)
    if done.returncode:
        raise AssertionError(f"the migration ended with {done.returncode}: {done.stderr[-2000:]}")


# ── transcripts ──


def lost_blob(round_: Round) -> None:
    """The transcript of a done job is missing or damaged: 500 and a line for the operator, not 404 or 410; then it is put back."""
    world = round_.world
    lost, other = round_.submit(), round_.submit()
    for job_id in (lost, other):
        round_.ended(job_id)
    key = str(round_.row(lost).result_key)
    content = world.blob(key)
    how = round_.rng.choice(("missing", "empty", "truncated", "overwritten"))
    round_.ledger.counts[f"transcript {how}"] += 1
    _damage(world, key, how, content)
    event = "result of a done job is missing" if how == "missing" else "result of a done job cannot be read"
    try:
        with round_.client() as client:
            answers = {job_id: client.get(f"/v2/jobs/{job_id}/transcript").status_code for job_id in (lost, other)}
            if answers != {lost: 500, other: 200} or client.get(f"/v2/jobs/{lost}").json()["job"]["status"] != "done":
                raise AssertionError(f"the transcripts are answered with {answers}")
        until(lambda: round_.events(event, lost), "a line for the operator")
    finally:
        asyncio.run(world.blobs.put(key, content))


def _damage(world: World, key: str, how: str, content: bytes) -> None:
    if how == "missing":
        asyncio.run(world.blobs.delete(key))
        return
    damaged = {"empty": b"", "truncated": content[: len(content) // 2], "overwritten": bytes(len(content))}
    asyncio.run(world.blobs.put(key, damaged[how]))
