"""The checks of `sottovoce doctor`: what works on this machine, what does not, and what the operator can do about it.

The checks leave no files, change no data, and do not disturb a running server.

Parts, in order:
- `Level` and `Finding`;
- engines: the model of each language, aligners and diarizers;
- the machine: disk, running workers, models, memory and GPUs;
- storage, keys, the server's lock, the mail server, the port, and espeak-ng.
"""

import asyncio
import contextlib
import ctypes
import os
import resource
import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from sottovoce.engines import registry, remedies
from sottovoce.engines.config import CHAT, EngineConfig
from sottovoce.engines.models.catalogue import ENGINES
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.engines.registry import Choice
from sottovoce.errors import EngineUnavailable
from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.request import OperatingPoint
from sottovoce.service.email import smtp as mail
from sottovoce.service.operations import lost_results, model_checks
from sottovoce.service.plan import Plan
from sottovoce.service.queue import worker_registry
from sottovoce.service.queue.worker_registry import Worker
from sottovoce.service.storage import database_file, key_check, lost_parts, migrate
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, DatabaseUnusable, one_line, sqlite_url, typed_line
from sottovoce.service.storage.encryption import Encryptor, KeyFileFault
from sottovoce.service.storage.lost_parts import PartLost
from sottovoce.transcript.languages import AUTO, PACKS
from sottovoce.wire.timestamps import milliseconds

TIMEOUT = 10.0
"""Seconds allowed for the check of one part."""
LOW_DESCRIPTORS = 1256
"""Open files that a server with the default settings may need: 1,000 connections, and 256 for its own work."""
FEW = 12
"""Languages that a finding lists by their codes."""
LOW_DISK = 5 << 30
"""Free bytes below which the disk gets a note."""
_FALLBACK_MEMORY = 300 << 20  # bytes of a PocketSphinx process (research `engines.md` §2)
_GPU_LIBRARIES = ("libcublas.so.12", "libcudnn.so.9")
_CUDA = "install nvidia-cublas-cu12 and nvidia-cudnn-cu12 with pip, and name their folders in LD_LIBRARY_PATH (docs/running.md)"


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report: the part, the severity, and a text that names the next step."""

    part: str
    level: Level
    text: str


def _ok(part: str, text: str) -> Finding:
    return Finding(part=part, level=Level.OK, text=text)


def _note(part: str, text: str) -> Finding:
    return Finding(part=part, level=Level.NOTE, text=text)


def _fault(part: str, text: str) -> Finding:
    return Finding(part=part, level=Level.FAULT, text=text)


# ── engines ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The model that transcribes *languages* at each operating point, and better models that are not installed."""

    languages: tuple[str, ...]
    standard: str
    enhanced: str
    better: tuple[str, ...]


def offers_of(plan: Plan, workers: Sequence[Worker]) -> tuple[Capabilities, ...]:
    """Return what the running *workers* offer, or without any, what a server with *plan* would. Raises `EngineUnavailable`."""
    return worker_registry.union(list(workers)) if workers else registry.offered(plan.engine_config, plan.engine)


def rows(plan: Plan, offers: tuple[Capabilities, ...]) -> list[Row]:
    """Return a row for each group of languages (those of the contract and `auto`) that have the same models of *offers*."""
    answers: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for language in (*PACKS, AUTO):
        points = [_choice(language, point, offers, plan.engine_config) for point in OperatingPoint]
        answers.setdefault((points[0], points[1], _better(language, offers)), []).append(language)
    return [
        Row(languages=tuple(languages), standard=standard, enhanced=enhanced, better=better)
        for (standard, enhanced, better), languages in answers.items()
    ]


def _choice(language: str, point: OperatingPoint, offers: tuple[Capabilities, ...], engine_config: EngineConfig) -> str:
    try:
        choice = registry.choose(language, point, offers)
    except EngineUnavailable:
        return "refused"
    pinned = ", set by the operator" if point in choice.capabilities.pinned else ""
    return _described(choice, engine_config) + pinned


def _described(choice: Choice, engine_config: EngineConfig) -> str:
    source = "its package"
    if choice.engine in ENGINES:
        folder = ModelStore(engine_config.models).path(choice.model)
        source = str(folder) if folder.exists() else "the folder of the running server"
    return f"{choice.engine} {choice.model} on {choice.device}, from {source}"


def other_engines(plan: Plan, offers: tuple[Capabilities, ...]) -> Iterator[Finding]:
    """Yield the aligner of each language, and the diarizer."""
    codes = sorted({code for entry in registry.skilled(offers, Skill.ALIGNMENT) for code in entry.languages})
    for code in codes:
        yield _ok("alignment", f"{code}: {_described(registry.choose_aligner(code, offers), plan.engine_config)}")
    if not codes:
        yield _note("alignment", "no aligner is installed: jobs of type alignment are rejected")
    diarizer = registry.choose_diarizer(offers)
    if diarizer is None:
        yield _note("speakers", "no diarizer is installed: every word is labelled UU")
    elif diarizer.engine == "builtin":
        cure = "you can install a voice encoder, which is more accurate on telephone audio (docs/speakers.md)"
        yield _note("speakers", f"{_described(diarizer, plan.engine_config)}; {cure}")
    else:
        yield _ok("speakers", _described(diarizer, plan.engine_config))


def intelligence(plan: Plan, offers: tuple[Capabilities, ...]) -> Iterator[Finding]:
    """Yield the backend of each stage of speech intelligence, or the reason why there is none and the next step."""
    for stage in STAGES:
        skill = StageName(stage.name)
        here = registry.skilled(offers, skill)
        for entry in here:
            languages = _languages(entry.languages)
            found = f" ({', '.join(sorted(entry.event_types))})" if entry.event_types else ""
            into = f" into {_languages(entry.targets)}" if entry.targets else ""
            heard = f"{languages or 'any language'}{into}"
            yield _ok("intelligence", f"{stage.name}: {entry.engine} {entry.model}{found}, {heard}")
        chat = plan.engine_config.stages.get(stage.name) == CHAT
        if not here and chat:
            yield _note(
                "intelligence", f"{stage.name}: not configured; set SOTTOVOCE_CHAT_URL and SOTTOVOCE_CHAT_MODEL"
            )
        elif not here and not plan.engine_config.runs(stage.name):
            yield _note("intelligence", f"{stage.name}: switched off (SOTTOVOCE_STAGES)")
        elif not here:
            yield _note("intelligence", f"{stage.name}: not installed; {remedies.of_stage(skill)}")


def _languages(codes: frozenset[str]) -> str:
    return ", ".join(sorted(codes)) if len(codes) <= FEW else f"{len(codes)} languages"


def _better(language: str, offers: tuple[Capabilities, ...]) -> tuple[str, ...]:
    """Return the catalogue's models for *language* with a higher grade than all installed ones, and the command for each."""
    offers = registry.skilled(offers, Skill.TRANSCRIPTION)
    here = max((entry.grade for entry in offers if _serves(entry, language)), default=-1)
    return tuple(
        f"{model.name} ({model.size / 1e9:.1f} GB): {remedies.command(model)}"
        for model in remedies.better(language, here)
    )


def _serves(entry: Capabilities, language: str) -> bool:
    return entry.identifies_language if language == AUTO else language in entry.languages


# ── the machine ──


def machine(plan: Plan, workers: Sequence[Worker]) -> Iterator[Finding]:
    """Yield findings about disk, models, memory and GPUs; about the running *workers* instead of what *plan* says of engines."""
    yield _disk(plan)
    yield _descriptors()
    for worker in workers:
        yield _worker(worker)
    if not workers:
        yield _models(plan.engine_config)
        yield _memory(plan)
        yield from _gpus(plan.engine_config)


def _worker(worker: Worker) -> Finding:
    engines = ", ".join(f"{entry.engine} {entry.model} on {entry.device}" for entry in worker.capabilities)
    since = milliseconds(worker.started_at)
    return _ok("worker", f"{worker.id} runs with {worker.slots} slot(s) since {since}: {engines or 'no engine'}")


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "no limit" if hard == resource.RLIM_INFINITY else f"{hard}"
    text = f"limit of open files: {soft}, at most {most}"
    if hard != resource.RLIM_INFINITY and hard < LOW_DESCRIPTORS:
        return _note("files", f"{text}: raise it (LimitNOFILE, ulimit -n), or lower SOTTOVOCE_MAX_CONNECTIONS")
    return _ok("files", text)


def _nearest(path: Path) -> Path:
    """Return *path*, or its deepest parent that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _disk(plan: Plan) -> Finding:
    folder = _nearest(plan.folder.root)
    if not os.access(folder, os.W_OK | os.X_OK):
        return _fault("disk", f"{folder} is not writable for this user")
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free at {folder}"
    if plan.blob_url is None and free <= plan.reserve:
        return _fault(
            "disk", f"{text}: less than the reserve of {plan.reserve / 1e9:.1f} GB, so media are rejected (507)"
        )
    return _note("disk", f"{text}: media, transcripts and models need space") if free < LOW_DISK else _ok("disk", text)


def _models(engine_config: EngineConfig) -> Finding:
    names = ", ".join(model.name for model in ModelStore(engine_config.models).present()) or "none"
    return _ok("models", f"in {engine_config.models}: {names}")


def models(plan: Plan, *, read: bool, load: bool) -> Iterator[Finding]:
    """Yield faults of models; with *read*, also check all checksums, and with *load* load the models in use."""
    results = [*model_checks.folders(plan.engine_config, read=read)]
    if read and load:
        results += model_checks.loads(plan.engine_config, registry.offered(plan.engine_config, plan.engine))
    for each in results:
        yield (_ok if each.sound else _fault)("model", each.text)


def _memory(plan: Plan) -> Finding:
    """Compare the memory of the engine processes that stay loaded with the available memory."""
    available = _available_memory()
    need = plan.slots * _largest(plan)
    text = f"{available / 1e9:.1f} GB available; {plan.slots} engine process(es) will take about {need / 1e9:.1f} GB"
    if need > available:
        return _fault("memory", f"{text}: lower SOTTOVOCE_SLOTS, or set a smaller model")
    return _ok("memory", text)


def _largest(plan: Plan) -> int:
    """Return the bytes of an engine process with the largest model: weights in float16 or int8 need about their file size."""
    with contextlib.suppress(EngineUnavailable):
        offers = registry.offered(plan.engine_config, plan.engine)
        wanted = {entry.model for entry in offers if entry.engine in ENGINES}
        sizes = [_size(ModelStore(plan.engine_config.models).path(name)) for name in wanted]
        return max([_FALLBACK_MEMORY, *(size + _FALLBACK_MEMORY for size in sizes)])
    return _FALLBACK_MEMORY


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


def _available_memory() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return found.get("MemAvailable", found["MemTotal"])


def _gpus(engine_config: EngineConfig) -> Iterator[Finding]:
    if engine_config.devices == ("cpu",):
        yield _ok(
            "gpu",
            f"none used; {len(os.sched_getaffinity(0))} core(s), {engine_config.threads} thread(s) an engine process",
        )
        return
    yield _ok("gpu", f"used: {', '.join(engine_config.devices)}")
    for name in _GPU_LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            yield _fault("gpu", f"{name} cannot be loaded: {_CUDA}")


# ── storage, mail and the port ──


def storage(plan: Plan) -> Iterator[Finding]:
    """Yield findings about both databases, the file of keys, the blob store, and the lock of the data folder."""
    region = _database(plan, "region database", plan.database_url, plan.folder.region_database, migrate.REGION)
    yield region
    control = _database(
        plan, "control database", plan.control_database_url, plan.folder.control_database, migrate.CONTROL
    )
    yield control
    yield _keys(plan, readable=region.level is Level.OK)
    blobs = _blobs(plan)
    yield blobs
    if region.level is Level.OK and blobs.level is Level.OK:
        if control.level is Level.OK:
            yield from _new_databases(plan)
        yield from _results(plan)
    yield _lock(plan)


def _database(plan: Plan, part: str, url: str | None, file: Path, branch: str) -> Finding:
    try:
        if url is None:
            region, control = plan.embedded and branch == migrate.REGION, plan.embedded and branch == migrate.CONTROL
            lost_parts.check_files(plan.folder, control=control, region=region, key=False, anew=frozenset())
            if not file.exists():
                return _ok(part, f"the first start creates {file}")
            database_file.checked(file, branch)
        database = Database(url or sqlite_url(file))
    except (DatabaseUnusable, PartLost, ValueError) as error:
        return _fault(part, one_line(error))
    try:
        has, wants = migrate.current(database, branch)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        return _fault(part, f"{database.place} cannot be used: {one_line(error)}")
    finally:
        database.close()
    if has == wants:
        return _ok(part, f"{'SQLite' if database.embedded else 'PostgreSQL'}, revision {has}")
    cure = "the next start upgrades it" if url is None else "run `sottovoce migrate`"
    return (_note if url is None else _fault)(part, f"revision {has}, this release needs {wants}: {cure}")


def _new_databases(plan: Plan) -> Iterator[Finding]:
    """Yield a fault if a database has no content although another part shows that there was some: a start refuses it."""
    folder = plan.folder
    shared = plan.embedded or plan.control_database_url is not None
    if plan.embedded and not (folder.region_database.exists() and folder.control_database.exists()):
        return
    region = Database(plan.database_url or sqlite_url(folder.region_database))
    control = Database(plan.control_database_url or sqlite_url(folder.control_database)) if shared else None
    try:
        store = Blobs.open(plan.blob_url or f"file://{folder.blobs.resolve()}", plan.blob_options)
        lost_parts.check_rows(control=control, region=region, blobs=store, anew=frozenset())
    except PartLost as lost:
        yield _fault(lost.part.replace("-", " "), str(lost))
    except (sa.exc.SQLAlchemyError, OSError) as error:
        yield _fault("region database", f"cannot be compared with the blob store: {one_line(error)}")
    finally:
        region.close()
        if control is not None:
            control.close()


def _keys(plan: Plan, *, readable: bool) -> Finding:
    """Compare the file of keys with every encrypted value of the region database, if that is *readable*."""
    file = plan.secrets_key_file or plan.folder.secrets_key
    try:
        lost_parts.check_files(
            plan.folder, control=False, region=False, key=plan.secrets_key_file is None, anew=frozenset()
        )
        if plan.secrets_key_file is None and not file.exists():
            return _ok("keys", f"the first start creates {file}")
        encryptor = Encryptor.open_file(file, create=False)
    except (DatabaseUnusable, PartLost, KeyFileFault) as error:
        return _fault("keys", one_line(error))
    if not readable or (plan.database_url is None and not plan.folder.region_database.exists()):
        return _ok("keys", f"{file} can be read; not compared with a region database")
    database = Database(plan.database_url or sqlite_url(plan.folder.region_database))
    try:
        found = key_check.count(database, encryptor)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        return _fault("keys", f"cannot be compared with {database.place}: {one_line(error)}")
    finally:
        database.close()
    if found.closed:
        text = f"no key of {file} decrypts {found.closed} of {found.checked} stored values (configs, addresses)"
        return _fault("keys", f"{text}: put the right file back (docs/backup.md)")
    return _ok("keys", f"{file} decrypts all {found.checked} stored values")


def _blobs(plan: Plan) -> Finding:
    if plan.blob_url is None and not plan.folder.blobs.exists():
        return _ok("blobs", f"the first start creates {plan.folder.blobs}")
    try:
        blobs = Blobs.open(plan.blob_url or f"file://{plan.folder.blobs.resolve()}", plan.blob_options)
        with _silent():
            asyncio.run(asyncio.wait_for(blobs.check(), TIMEOUT))
    except Exception as error:  # noqa: BLE001 - the report shows every error of the store's library
        return _fault("blobs", f"cannot be written: {typed_line(error)}")
    return _ok("blobs", "can be written and read")


def _results(plan: Plan) -> Iterator[Finding]:
    """Yield a fault if the store lacks results of jobs that are done, and one if results cannot be decoded."""
    if plan.database_url is None and not plan.folder.region_database.exists():
        return
    database = Database(plan.database_url or sqlite_url(plan.folder.region_database))
    try:
        store = Blobs.open(plan.blob_url or f"file://{plan.folder.blobs.resolve()}", plan.blob_options)
        lost = asyncio.run(lost_results.find(database, store, TIMEOUT))
    except Exception as error:  # noqa: BLE001 - the report shows every error of the database and of the store's library
        yield _fault("results", f"cannot be compared with the store: {typed_line(error)}")
    else:
        restore = "restore the blobs from the backup (docs/backup.md)"
        if ids := lost.missing:
            text = f"the store lacks the transcripts of {len(ids)} of {lost.done} jobs that are done ({_few(ids)})"
            yield _fault("results", f"{text}: {restore}")
        if ids := lost.unreadable:
            text = f"{len(ids)} of {lost.read} transcripts that were read are truncated or damaged ({_few(ids)})"
            yield _fault("results", f"{text}: {restore}")
        if not lost.missing and not lost.unreadable:
            read = "all were read" if lost.read == lost.done else f"the newest {lost.read} were read"
            yield _ok("results", f"the store has the transcripts of all {lost.done} jobs that are done; {read}")
    finally:
        database.close()


def _few(ids: Sequence[str]) -> str:
    """The first of *ids*."""
    return ", ".join(ids[:3])


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Drop what a panic of the store's library would write to standard error: the finding has its reason."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _lock(plan: Plan) -> Finding:
    """Report if a server uses the data folder. Reads `/proc/locks`: taking the lock could make a starting server fail."""
    path = plan.folder.home / "lock"
    if not plan.embedded or not path.exists():
        return _ok("server", "none uses this folder" if plan.embedded else "PostgreSQL: several servers may run")
    held = f":{path.stat().st_ino} "
    locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    if any("FLOCK" in line and held in line for line in locks):
        return _ok("server", f"one is running on {plan.folder.root}")
    return _ok("server", "none is running on this folder")


def smtp(plan: Plan) -> Finding:
    """Connect and log in to the mail server."""
    server = plan.task_settings.send.smtp
    if server is None:
        return _ok("mail", "no mail server is set: e-mails about jobs end as `not configured`")
    try:
        mail.greet(replace(server, timeout=TIMEOUT))
    except mail.MailFailed as failed:
        return _fault("mail", f"{server.host} port {server.port}: {failed.text}")
    return _ok("mail", f"{server.host} port {server.port} accepts mails from {server.sender}")


def port(host: str, number: int, *, running: bool) -> Finding:
    """Check that port *number* is free; a used port is correct while a server is *running*."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, number))
        except OSError as error:
            text = f"{host} port {number}: {error.strerror}"
            return _ok("port", f"{text} (a server is running)") if running else _fault("port", text)
    return _ok("port", f"{host} port {number} is free")


def sounds() -> Finding:
    """Check for espeak-ng, which gives pronunciations of custom words that are not in the dictionary."""
    found = shutil.which("espeak-ng")
    if found is None:
        return _note(
            "espeak-ng", "not found: PocketSphinx uses simple spelling rules for custom words outside its dictionary"
        )
    return _ok("espeak-ng", f"{found}: gives PocketSphinx the pronunciation of custom words")


def faults(findings: Sequence[Finding]) -> int:
    """Return the number of faults."""
    return sum(finding.level is Level.FAULT for finding in findings)
