"""The health of the server for its operator: one JSON answer with all numbers, and pulls of models (docs/operations.md).

The answer has no path, no name of a host, and nothing of anyone's jobs but counts. In order: the routes, the parts of the answer,
the route table.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce import __version__
from sottovoce.engines import remedies
from sottovoce.engines.models.catalogue import CATALOGUE, Model
from sottovoce.engines.models.store import ModelStore
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.engines.registry import skilled
from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import audit_log, workspaces
from sottovoce.service.operations.overview import Overview, WorkerState, overview
from sottovoce.service.queue.worker_registry import FORGET_MS
from sottovoce.service.regions import Region
from sottovoce.service.retention.policy import RetentionPolicy, RetentionReport
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.database import DAY_MS
from sottovoce.transcript.languages import AUTO, PACKS
from sottovoce.web import responses
from sottovoce.web.api import account
from sottovoce.web.api.discovery import region_infos
from sottovoce.web.routing import Route
from sottovoce.web.workspace.actors import Actors
from sottovoce.web.workspace.model_pulls import Bring, ModelPulls, Pull
from sottovoce.wire.timestamps import milliseconds

_RUNS_MODELS = frozenset({"batch", "realtime"})
"""Roles of which a process loads models from its own folder."""


class Health:
    """The routes over one runtime in the region *here*; *urls* maps regions to their addresses, *bring* fetches a model."""

    def __init__(self, runtime: Runtime, here: Region, urls: Mapping[str, str], bring: Bring) -> None:
        self._runtime = runtime
        self._actors = Actors(runtime)
        self._here = here
        self._urls = urls
        self._pulls = ModelPulls(bring)

    async def details(self, request: Request) -> Response:
        """`GET /v1/health/details`: the state of the server and its region."""
        await self._actors.operator(request)
        runtime, plan = self._runtime, self._runtime.plan
        kept = RetentionPolicy(keep_ms=round(plan.keep * 1000), tombstone_ms=round(plan.tombstones * 1000))
        found = await runtime.database.read(
            lambda connection: overview(connection, lease_ms=round(plan.lease * 1000), kept=kept)
        )
        live = bool(runtime.live_offers.live or runtime.offers.live)
        infos = region_infos(self._here, self._urls, live=live)
        refusal = await self._refusal()
        body = {
            "version": __version__,
            "region": self._here.name,
            "regions": [
                {"name": each.name, "label": each.label, "modes": each.modes, "here": each.name == self._here.name}
                for each in infos
                if each.name == self._here.name or each.url
            ],
            "roles": sorted(plan.roles),
            "ready": await runtime.ready(),
            "engines": [_engine(each) for each in _known({*runtime.offers.engines, *runtime.live_offers.engines})],
            "languages": _languages(runtime),
            "models": await asyncio.to_thread(self._models) if plan.roles & _RUNS_MODELS else None,
            "pull": None if self._pulls.latest is None else _pull(self._pulls.latest),
            "pull_refused": refusal,
            "disk": None if runtime.disk is None else {"free": runtime.disk.free, "reserve": runtime.disk.reserve},
            **_numbers(found, kept),
        }
        return _json(body)

    async def pull(self, request: Request) -> Response:
        """`POST /v1/health/models/{name}`: start to pull a model of the catalogue."""
        actor = await self._actors.operator(request)
        if (refusal := await self._refusal()) is not None:
            raise Refused(Kind.FORBIDDEN, refusal)
        begun = self._pulls.start(request.path_params["name"])
        entry = audit_log.Entry(
            actor=actor.name, action="model pull started", target=begun.model, workspace_id=actor.workspace_id
        )
        await audit_log.note(self._runtime.control, entry)
        return _json(_pull(begun), 202)

    async def _refusal(self) -> str | None:
        """Why this server pulls no models over HTTP; `None` if it does.

        A pull takes disk, memory bandwidth and network of all who use the machine. So only a server with one data folder and one
        workspace does it, where the caller and the operator are the same.
        """
        plan = self._runtime.plan
        if not plan.embedded or plan.control_database_url is not None:
            return "a server with databases of its own pulls no models over HTTP; use `sottovoce models pull` on each worker"
        if not plan.roles & _RUNS_MODELS:
            return "this process loads no models; use `sottovoce models pull` where the workers run"
        if len(await self._runtime.control.read(workspaces.listed)) > 1:
            return "a server with several workspaces pulls no models over HTTP; use `sottovoce models pull`"
        return None

    def _models(self) -> dict[str, Any]:
        """The models of the folder and of the catalogue. Reads the folder."""
        store = ModelStore(self._runtime.plan.engine_config.models)
        present = {model.name: model for model in store.present()}
        return {
            "installed": [_model(model) for model in present.values()],
            "available": [
                {**_model(model), "command": f"sottovoce models pull {model.name}", "needs": _needs(model)}
                for model in CATALOGUE.values()
                if model.name not in present
            ],
            "faults": [{"name": name, "remedy": remedies.of_fault(name)} for name, _ in store.faults()],
            "unserved": [
                {"model": model or None, "languages": codes}
                for model, codes in remedies.by_model(_unserved(self._runtime)).items()
            ],
        }


# ── the parts of the answer ──


def _known(engines: Iterable[Capabilities]) -> list[Capabilities]:
    return sorted(engines, key=lambda each: (each.engine, each.model, sorted(each.skills)))


def _engine(each: Capabilities) -> dict[str, Any]:
    return {
        "engine": each.engine,
        "model": each.model,
        "skills": sorted(each.skills),
        "languages": sorted(each.languages),
        "operating_points": sorted(each.operating_points),
        "device": each.device,
    }


def _served(engines: Iterable[Capabilities], skill: Skill) -> set[str]:
    return {code for engine in skilled(engines, skill) for code in engine.languages}


def _languages(runtime: Runtime) -> dict[str, list[str]]:
    live = runtime.live_offers if runtime.live_offers.live else runtime.offers
    return {
        "batch": sorted(_served(runtime.offers.engines, Skill.TRANSCRIPTION)),
        "realtime": sorted(_served(live.live, Skill.LIVE)),
    }


def _unserved(runtime: Runtime) -> list[str]:
    """Languages of the contract, `auto` included, that no engine of the region transcribes."""
    engines = list(skilled(runtime.offers.engines, Skill.TRANSCRIPTION))
    served = _served(engines, Skill.TRANSCRIPTION)
    if any(engine.identifies_language for engine in engines):
        served.add(AUTO)
    return [code for code in (AUTO, *PACKS) if code not in served]


def _model(model: Model) -> dict[str, Any]:
    languages = remedies.languages_of(model)
    return {
        "name": model.name,
        "engine": model.engine,
        "bytes": model.size,
        "languages": sorted(languages),
        "operating_point": model.suits,
        "grade": model.grade,
        "licence": model.licence,
    }


def _needs(model: Model) -> str | None:
    """The package that *model* needs and that is not installed."""
    return "sottovoce[onnx-asr]" if remedies.lacks_package(model) else None


def _pull(pull: Pull) -> dict[str, Any]:
    return {
        "model": pull.model,
        "state": pull.state,
        "step": pull.step,
        "done": pull.done,
        "total": pull.total,
    }


def _numbers(found: Overview, kept: RetentionPolicy) -> dict[str, Any]:
    queue = found.queue
    return {
        "workers": [_worker(each) for each in found.workers],
        "jobs": {state.value: count for state, count in found.jobs.items()},
        "queue": {
            "waiting": queue.waiting,
            "oldest_seconds": round(queue.oldest, 1),
            "audio_seconds": round(queue.audio, 1),
            "slots": queue.slots,
            "eta_seconds": None if queue.eta is None else round(queue.eta, 1),
            "turnaround_seconds": round(queue.turnaround, 1),
            "known_issues": queue.known_issues,
        },
        "deliveries": {
            **{state.value: count for state, count in found.deliveries.items()},
            "failed_last_day": found.failed_lately,
        },
        "retention": _retention(found.retention, kept),
    }


def _worker(each: WorkerState) -> dict[str, Any]:
    return {
        "alive": each.alive,
        "slots": each.slots,
        "started_at": milliseconds(each.started_at),
        "heartbeat_at": milliseconds(each.heartbeat_at),
    }


def _retention(report: RetentionReport, kept: RetentionPolicy) -> dict[str, Any]:
    return {
        "keep_days": kept.keep_ms / DAY_MS,
        "tombstone_days": kept.tombstone_ms / DAY_MS,
        "audit_days": audit_log.KEEP_DAYS,
        "worker_days": FORGET_MS / DAY_MS,
        "kept": report.kept,
        "kept_bytes": report.kept_bytes,
        "due": report.due,
        "due_in_a_day": report.due_in_a_day,
        "never_ended": report.stuck,
        "tombstones": report.tombstones,
        "uncleaned": report.uncleaned,
        "oldest_end": None if report.oldest_end is None else milliseconds(report.oldest_end),
    }


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=responses.JSON, headers={"cache-control": "no-store"})


def routes(
    runtime: Runtime, here: Region, urls: Mapping[str, str], bring: Bring, public_url: str | None
) -> list[Route]:
    """The routes of the operator's health page."""
    found = Health(runtime, here, urls, bring)
    host = account.host_of(public_url)
    return [
        Route(path="/v1/health/details", handlers={"GET": account.with_checks(found.details, host)}),
        Route(path="/v1/health/models/{name}", handlers={"POST": account.with_checks(found.pull, host)}),
    ]
