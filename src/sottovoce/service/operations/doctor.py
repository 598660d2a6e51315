"""What works here, what does not, and what to do about it: everything that an operator would otherwise find out job by job.

Nothing is left behind, nothing is changed, and a running server is not disturbed.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa

from sottovoce.engines import registry, remedies
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.models.catalogue import ENGINES
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.engines.registry import Choice
from sottovoce.errors import EngineUnavailable
from sottovoce.request import OperatingPoint
from sottovoce.service.email import smtp as mail
from sottovoce.service.operations import model_checks
from sottovoce.service.plan import Plan
from sottovoce.service.storage import migrate
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database, sqlite_url
from sottovoce.transcript.languages import AUTO, PACKS

TIMEOUT = 10.0
"""Seconds that a look at a part may take."""
LOW_DISK = 5 << 30
_FALLBACK_MEMORY = 300 << 20  # of a PocketSphinx process (research `engines.md` §2)
_GPU_LIBRARIES = ("libcublas.so.12", "libcudnn.so.9")


class Level(StrEnum):
    """How a part is."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: which part, how it is, and what to know or do."""

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
    """What recognises *languages* at each operating point, and the models that would do better but are not here."""

    languages: tuple[str, ...]
    standard: str
    enhanced: str
    better: tuple[str, ...]


def rows(plan: Plan) -> list[Row]:
    """Every language of the contract and `auto`, those with the same answers together. Raises `EngineUnavailable`."""
    offers = registry.offered(plan.engine_config, plan.engine)
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
    place = str(ModelStore(engine_config.models).path(choice.model)) if choice.engine in ENGINES else "its package"
    return f"{choice.engine} {choice.model} on {choice.device}, from {place}"


def other_engines(plan: Plan) -> Iterator[Finding]:
    """Who aligns which languages, and who tells speakers apart. Raises `EngineUnavailable`."""
    offers = registry.offered(plan.engine_config, plan.engine)
    codes = sorted({code for entry in registry.skilled(offers, Skill.ALIGNMENT) for code in entry.languages})
    for code in codes:
        yield _ok("alignment", f"{code}: {_described(registry.choose_aligner(code, offers), plan.engine_config)}")
    if not codes:
        yield _note("alignment", "no aligner is here: jobs of type alignment are refused")
    diarizer = registry.choose_diarizer(offers)
    if diarizer is None:
        yield _note("speakers", "no diarizer is here: every word is labelled UU")
    elif diarizer.engine == "builtin":
        cure = "a voice encoder can be added, which is better on telephone sound (docs/speakers.md)"
        yield _note("speakers", f"{_described(diarizer, plan.engine_config)}; {cure}")
    else:
        yield _ok("speakers", _described(diarizer, plan.engine_config))


def _better(language: str, offers: tuple[Capabilities, ...]) -> tuple[str, ...]:
    """Models of the catalogue that know *language* and are graded above all that is here, and how to get them."""
    offers = registry.skilled(offers, Skill.TRANSCRIPTION)
    here = max((entry.grade for entry in offers if _serves(entry, language)), default=-1)
    return tuple(
        f"{model.name} ({model.size / 1e9:.1f} GB): {remedies.command(model)}"
        for model in remedies.better(language, here)
    )


def _serves(entry: Capabilities, language: str) -> bool:
    return entry.identifies_language if language == AUTO else language in entry.languages


# ── the machine ──


def machine(plan: Plan) -> Iterator[Finding]:
    """Disk, memory and GPUs."""
    yield _disk(plan)
    yield _models(plan.engine_config)
    yield _memory(plan)
    yield from _gpus(plan.engine_config)


def _nearest(path: Path) -> Path:
    """The deepest folder of *path* that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _disk(plan: Plan) -> Finding:
    place = _nearest(plan.folder.root)
    if not os.access(place, os.W_OK | os.X_OK):
        return _fault("disk", f"{place} cannot be written by this user")
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free at {place}"
    if plan.blob_url is None and free <= plan.reserve:
        return _fault(
            "disk", f"{text}: less than the reserve of {plan.reserve / 1e9:.1f} GB, so media are refused (507)"
        )
    return _note("disk", f"{text}: media, transcripts and models need room") if free < LOW_DISK else _ok("disk", text)


def _models(engine_config: EngineConfig) -> Finding:
    names = ", ".join(model.name for model in ModelStore(engine_config.models).present()) or "none"
    return _ok("models", f"in {engine_config.models}: {names}")


def models(plan: Plan, *, read: bool) -> Iterator[Finding]:
    """What is wrong with models; with *read* every byte of them is checked, and those that are in use are loaded."""
    looked = [*model_checks.folders(plan.engine_config, read=read)]
    if read:
        looked += model_checks.loads(plan.engine_config, registry.offered(plan.engine_config, plan.engine))
    for each in looked:
        yield (_ok if each.sound else _fault)("model", each.text)


def _memory(plan: Plan) -> Finding:
    """Whether the engine processes that will be warm fit into what is free."""
    available = _available_memory()
    need = plan.slots * _largest(plan)
    text = f"{available / 1e9:.1f} GB available; {plan.slots} engine process(es) will take about {need / 1e9:.1f} GB"
    if need > available:
        return _fault("memory", f"{text}: lower SOTTOVOCE_SLOTS, or set a smaller model")
    return _ok("memory", text)


def _largest(plan: Plan) -> int:
    """Bytes of the largest model that a job may want: weights in float16 or int8 come to about their file at most."""
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
            yield _fault("gpu", f"{name} cannot be loaded: install NVIDIA's CUDA 12 and cuDNN 9 libraries")


# ── where things are kept, and the port ──


def storage(plan: Plan) -> Iterator[Finding]:
    """Both databases and the blobs."""
    yield _database("region database", plan.database_url, plan.folder.region_database, migrate.REGION)
    yield _database("control database", plan.control_database_url, plan.folder.control_database, migrate.CONTROL)
    yield _blobs(plan)
    yield _lock(plan)


def _database(part: str, url: str | None, file: Path, branch: str) -> Finding:
    if url is None and not file.exists():
        return _ok(part, f"{file} will be made by the first start")
    database = Database(url or sqlite_url(file))
    try:
        has, wants = migrate.current(database, branch)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        return _fault(part, f"cannot be used: {_said(error)}")
    finally:
        database.close()
    if has == wants:
        return _ok(part, f"{'SQLite' if database.embedded else 'PostgreSQL'}, revision {has}")
    cure = "the next start brings it up to date" if url is None else "run `sottovoce migrate`"
    return (_note if url is None else _fault)(part, f"revision {has}, this release needs {wants}: {cure}")


def _blobs(plan: Plan) -> Finding:
    if plan.blob_url is None and not plan.folder.blobs.exists():
        return _ok("blobs", f"{plan.folder.blobs} will be made by the first start")
    try:
        blobs = Blobs.open(plan.blob_url or f"file://{plan.folder.blobs.resolve()}", plan.blob_options)
        asyncio.run(asyncio.wait_for(blobs.check(), TIMEOUT))
    except Exception as error:  # noqa: BLE001 - whatever the store's library raises, the operator is to know
        return _fault("blobs", f"cannot be written: {_said(error)}")
    return _ok("blobs", "can be written and read")


def _said(error: BaseException) -> str:
    """What *error* says, on one line."""
    return " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])[:300]


def _lock(plan: Plan) -> Finding:
    """Whether a server runs on the folder. The kernel is asked: taking the lock to see would keep a starting server out."""
    path = plan.folder.home / "lock"
    if not plan.embedded or not path.exists():
        return _ok("server", "none has this folder" if plan.embedded else "a fleet: every process is its own")
    held = f":{path.stat().st_ino} "
    locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    if any("FLOCK" in line and held in line for line in locks):
        return _ok("server", f"one is running on {plan.folder.root}")
    return _ok("server", "none is running on this folder")


def smtp(plan: Plan) -> Finding:
    """Whether the mail server takes us."""
    server = plan.task_settings.send.smtp
    if server is None:
        return _ok("mail", "no mail server is set: mails of jobs end as `not configured`")
    try:
        mail.greet(replace(server, timeout=TIMEOUT))
    except mail.MailFailed as failed:
        return _fault("mail", f"{server.host} port {server.port}: {failed.text}")
    return _ok("mail", f"{server.host} port {server.port} takes mails from {server.sender}")


def port(host: str, number: int, *, running: bool) -> Finding:
    """Whether *number* can be listened on; taken is right when a server is *running*."""
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
    """Whether custom words that no dictionary has can be pronounced."""
    found = shutil.which("espeak-ng")
    if found is None:
        return _note(
            "espeak-ng", "not found: PocketSphinx spells custom words that its dictionary lacks by simple rules"
        )
    return _ok("espeak-ng", f"{found}: sounds out custom words for PocketSphinx")


def faults(findings: Sequence[Finding]) -> int:
    """How many findings are faults."""
    return sum(finding.level is Level.FAULT for finding in findings)
