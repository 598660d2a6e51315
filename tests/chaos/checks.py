"""The invariants that hold after every round, for every fault."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sottovoce.job import LIVE, State
from sottovoce.service.jobs.model import Job
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key, peaks_key, playback_key
from sottovoce.transcript import codec
from tests.chaos.media import Media
from tests.servers import files

if TYPE_CHECKING:
    from tests.chaos.rounds import Round

Excuses = Mapping[str, str]
"""Error-level lines that a fault may cause: a regular expression for the event and the error below it, with the reason why the
line is correct."""


def for_pages(job_id: str) -> set[str]:
    """The blobs that a job has only where nothing kept the worker from preparing its media for pages."""
    return {peaks_key(job_id), playback_key(job_id)}


def look(round_: "Round", *, kills: bool) -> list[str]:
    """The invariants that are broken now; later calls may find fewer.

    *kills*: a worker was killed or stopped during its work, so its line about a job's end may be missing (but never occur twice).
    """
    world, ledger = round_.world, round_.ledger
    wrong: list[str] = []
    for job_id, media in ledger.acked.items():
        wrong += _removed(round_, job_id) if job_id in ledger.deleted else _done(round_, job_id, media, kills=kills)
    wrong += [f"a refused submission has row {found}" for key in ledger.refused if (found := world.by_key(key))]
    if (rows := world.ids()) != world.known:
        wrong.append(f"unexpected rows: {rows - world.known}; lost rows: {world.known - rows}")
    wrong += [f"stray process {pid}" for pid in world.strays()]
    return wrong + _leftovers(round_)


def _done(round_: "Round", job_id: str, media: Media, *, kills: bool) -> list[str]:
    """Check an acknowledged job: done once, with the right transcript and no other blobs."""
    world = round_.world
    row = world.row(job_id)
    if row is None:
        return [f"{job_id} is lost"]
    if row.state is not State.DONE or row.result_key is None:
        return [f"{job_id} is {row.state}: {row.reason} {row.errors}"]
    wrong = []
    said = len(round_.events("job done", job_id))
    if said > 1 or (said == 0 and not kills):
        wrong.append(f"{job_id}: {said} log lines report that it is done")
    if (times := _published(round_, job_id)) != 1:
        wrong.append(f"{job_id} was published {times} times")
    keys = world.keys(job_id)
    if set(keys) - for_pages(job_id) != {media_key(job_id), row.result_key}:
        wrong.append(f"{job_id} has the blobs {keys}, published {row.result_key}")
    elif not media.matches(world.blob(row.result_key)):
        wrong.append(f"{job_id}: not the transcript of {media.path.name}")
    elif world.blob(media_key(job_id)) != media.path.read_bytes():
        wrong.append(f"{job_id}: not the media that was sent")
    if (state := world.queue.states([job_id]).get(job_id)) is None or not state.ended:
        wrong.append(f"{job_id}: the queue still has it: {state}")
    return wrong + _served(round_, row)


def _published(round_: "Round", job_id: str) -> int:
    """The number of transactions that published a result: each adds a line to the job's log."""
    mine = (t.job_events.c.job_id == job_id, t.job_events.c.stage == "done")
    with round_.world.database.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(*mine)).scalar_one())


def _served(round_: "Round", row: Job) -> list[str]:
    """Check that clients get the published transcript."""
    if row.result_key not in round_.world.keys(row.id):
        return []
    with round_.client() as client:
        answer = client.get(f"/v2/jobs/{row.id}/transcript")
    if answer.status_code != 200:
        return [f"{row.id}: transcript answers {answer.status_code}"]
    heard = [item["alternatives"][0]["content"] for item in answer.json()["results"]]
    expected = [item.text for item in codec.decode(round_.world.blob(row.result_key)).items]
    return [] if heard == expected else [f"{row.id}: clients get another transcript: {heard}"]


def _removed(round_: "Round", job_id: str) -> list[str]:
    """Check a job whose removal was acknowledged: a tombstone without config, log or bytes."""
    world = round_.world
    row = world.row(job_id)
    if row is None or row.state is not State.DELETED:
        return [f"deleted {job_id} is {row.state if row else 'lost'}"]
    wrong = []
    if row.config is not None or row.data_name or row.result_key:
        wrong.append(f"tombstone {job_id} still has config, name or result")
    if keys := world.keys(job_id):
        wrong.append(f"tombstone {job_id} has the blobs {keys}")
    with world.database.reading() as connection:
        if connection.execute(sa.select(t.job_events.c.seq).where(t.job_events.c.job_id == job_id)).first():
            wrong.append(f"tombstone {job_id} has a log")
    with round_.client() as client:
        if (status := client.get(f"/v2/jobs/{job_id}", params={"wait": "0"}).status_code) != 410:
            wrong.append(f"tombstone {job_id} answers {status}")
    return wrong


def _leftovers(round_: "Round") -> list[str]:
    """Scratch files, blobs without a row, and live jobs although all of ours have ended."""
    world = round_.world
    wrong = [
        f"left in scratch: {path}"
        for server in world.servers
        for path in files(server.data / "eu1" / "tmp")
        if path.name != "lock"
    ]
    owners = {key.split("/")[1] for key in world.all_keys()}
    if strangers := owners - world.known:
        wrong.append(f"blobs of no job: {strangers}")
    if world.bucket and (uploads := world.bucket.uploads()):
        wrong.append(f"unfinished multipart uploads: {[upload.key for upload in uploads]}")
    with world.database.reading() as connection:
        live = connection.execute(sa.select(t.jobs.c.id).where(t.jobs.c.state.in_(LIVE))).scalars().all()
    return wrong + [f"{job_id} is live" for job_id in live]


def errors(round_: "Round", excused: Excuses) -> list[str]:
    """Error-level log lines that *excused* does not explain; unlike the other checks they need no time to recover."""
    found = []
    for server in round_.world.servers:
        for line in round_.logs[id(server)].lines():
            text = f"{line['event']}\n{line.get('error', '')}"
            loud = line.get("level") in {"error", "critical"}
            if loud and not any(re.match(pattern, text, re.DOTALL) for pattern in excused):
                found.append(f"log of {server.home.name}: {str(line)[:1500]}")
    return found
