"""The recognisers of realtime sessions: which model a session gets, and how much load the machine takes.

The cost of a session is measured for each model (`inference/live_cost.py`); the constants here are the policy.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import AnySkill, Skill
from sottovoce.engines.registry import Choice
from sottovoce.errors import Kind, Refused
from sottovoce.inference.live_cost import UNKNOWN
from sottovoce.inference.pool import EngineMisconfigured, EngineTemporarilyUnavailable, LiveFull, LiveLoad, ProcessDied
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.realtime.admission import Load
from sottovoce.realtime.ports import LiveSession, Opener, Planner
from sottovoce.request import LiveRequest
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.service.runtime import Runtime
from sottovoce.web.api.translators import planner

_log = logging.getLogger(__name__)

USABLE = 0.85
"""The share of the cores that sessions may use on average: above it, decodes wait for each other (`research/streaming.md` §4)."""
BATCH_SHARE = 0.3
"""The part of the load of jobs that counts: sessions have priority, but jobs still take caches and memory bandwidth."""
KEEPS_UP = 0.9
"""The most cores of a session that keeps up (`live_cost.ALL`: one that does not)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognizers:
    """Where sessions get a recogniser, how busy those are, and what is done of a request beside recognition."""

    open: Opener
    load: Callable[[], Load]
    plan: Planner


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLoad:
    """The load as the admission of handshakes sees it (`realtime.admission.Load`)."""

    busy: float
    capacity: float
    sessions: int = 0


def used(load: LiveLoad) -> float:
    """The share of the usable cores that is in use: sessions, those that just began, and a part of the jobs."""
    return (load.busy + load.unseen + BATCH_SHARE * load.batch) / USABLE


def measured(load: LiveLoad) -> MeasuredLoad:
    """*load* for handshakes. Their language is not known yet: one session counts at the cost of the cheapest model that runs."""
    cost = min(load.costs.values(), default=UNKNOWN)
    return MeasuredLoad(busy=used(load), capacity=load.cores * USABLE / max(cost, 1e-3), sessions=load.sessions)


def pick(choices: Sequence[Choice], channels: int, load: LiveLoad) -> Choice:
    """The first of *choices*, the better ones first, for which there is room and which keeps up.

    Without room, the last one: if the handshake counted on its cost, or if it is the only session. Otherwise raises `LiveFull`.
    """
    cheapest = min(load.costs.values(), default=UNKNOWN)
    for choice in choices:
        cost = load.costs.get(choice.key, UNKNOWN)
        fits = not load.sessions or used(load) + max(channels, 1) * cost / load.cores / USABLE <= 1
        if fits and (cost <= KEEPS_UP or len(choices) == 1):
            return choice
    last = choices[-1]
    if load.sessions and load.costs.get(last.key, UNKNOWN) > cheapest:
        raise LiveFull(f"no room for another session with {last.model}")
    return last


def recognizers(runtime: Runtime, *, smaller: bool = True) -> Recognizers:
    """The recognisers of *runtime*, in its child processes; *smaller*: a session may get a smaller model where there is no room."""

    @asynccontextmanager
    async def open_one(request: LiveRequest, known: Sequence[KnownVoice] = ()) -> AsyncIterator[LiveSession]:
        offers = runtime.live_offers
        best = offers.resolve_live(request)
        choices = (best, *offers.smaller_live(request, best)) if smaller else (best,)
        chosen = pick(choices, request.channel_count, runtime.pool.live_load())
        _tell(runtime, best, chosen)
        async with AsyncExitStack() as stack:
            try:
                session = await stack.enter_async_context(
                    runtime.pool.live(_engines(offers, chosen, request), offers.prepared(request), known)
                )
            except (ProcessDied, EngineTemporarilyUnavailable, EngineMisconfigured) as error:
                _log.warning("realtime recogniser not started", extra={"why": str(error)})
                raise Refused(
                    Kind.UNAVAILABLE, "the recogniser cannot be started at the moment; connect again"
                ) from error
            yield session

    def load() -> Load:
        if not runtime.live_offers.live:
            return MeasuredLoad(busy=1.0, capacity=0.0)
        return measured(runtime.pool.live_load())

    return Recognizers(open=open_one, load=load, plan=planner(runtime.live_offers, runtime.pool))


def _engines(offers: CapabilityTable, chosen: Choice, request: LiveRequest) -> dict[AnySkill, EngineKey]:
    """The engines of a session that is recognised by *chosen*. Without a diarizer, its speakers stay unknown."""
    diarizer = offers.live_diarizer if request.diarization.by_speaker else None
    keys: dict[AnySkill, EngineKey] = {Skill.LIVE: chosen.key}
    if diarizer:
        keys[Skill.LIVE_DIARIZATION] = diarizer.key
    return keys


def _tell(runtime: Runtime, best: Choice, chosen: Choice) -> None:
    why = "chosen" if chosen == best else "load"
    runtime.metrics.realtime.started(chosen.model, why)
    if chosen != best:
        load = runtime.pool.live_load()
        _log.info(
            "realtime session with a smaller model",
            extra={
                "model": chosen.model,
                "instead_of": best.model,
                "used": round(used(load), 2),
                "cores_of_a_session": round(_cost(load, best.key), 2),
            },
        )


def _cost(load: LiveLoad, key: EngineKey) -> float:
    return load.costs.get(key, UNKNOWN)
