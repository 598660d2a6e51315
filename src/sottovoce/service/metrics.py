"""Metrics in the Prometheus text format. Names are stable: a test compares them with docs/metrics.md."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric: its exposed name (a counter's ends in `_total`), kind, labels and help text."""

    name: str
    kind: type[Counter | Gauge | Histogram]
    labels: tuple[str, ...]
    meaning: str
    buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS  # of a histogram


_DELAYS = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.2, 1.5, 1.8, 2.2, 2.6, 3.0, 4.0, 5.0, 7.5, 10.0, 20.0)
"""Bounds in seconds around the delays that clients of realtime sessions expect (contract `realtime.md` §6)."""

FAMILIES: tuple[Family, ...] = (
    Family(
        name="sottovoce_audio_seconds_total", kind=Counter, labels=("engine",), meaning="Seconds of audio recognised."
    ),
    Family(
        name="sottovoce_deliveries_total",
        kind=Counter,
        labels=("kind", "outcome"),
        meaning="Attempts at notifications and mails: delivered, retried (failed, will be retried), failed (permanently).",
    ),
    Family(
        name="sottovoce_engine_deaths_total",
        kind=Counter,
        labels=(),
        meaning="Engine processes that died during a job.",
    ),
    Family(
        name="sottovoce_fetches_total",
        kind=Counter,
        labels=("outcome",),
        meaning="Attempts at fetching media: done, retried (failed, will be retried), failed (permanently).",
    ),
    Family(
        name="sottovoce_http_request_seconds",
        kind=Histogram,
        labels=("route", "method"),
        meaning="Seconds from request to end of response.",
    ),
    Family(
        name="sottovoce_http_requests_total",
        kind=Counter,
        labels=("route", "method", "status"),
        meaning="Requests answered, by status.",
    ),
    Family(
        name="sottovoce_internal_errors_total",
        kind=Counter,
        labels=("where",),
        meaning=(
            "Work that ended because of a bug or of stored data that this release cannot read, by the part that failed: "
            "job, stage, delivery, fetch, reaper, credits, usage, sweep, projects, periodic."
        ),
    ),
    Family(name="sottovoce_jobs_reaped_total", kind=Counter, labels=(), meaning="Abandoned jobs requeued."),
    Family(name="sottovoce_jobs", kind=Gauge, labels=("state",), meaning="Jobs of this region by state."),
    Family(name="sottovoce_jobs_accepted_total", kind=Counter, labels=("api",), meaning="Jobs accepted."),
    Family(name="sottovoce_jobs_finished_total", kind=Counter, labels=("state",), meaning="Jobs that ended."),
    Family(
        name="sottovoce_jobs_removed_total", kind=Counter, labels=("why",), meaning="Jobs removed: deleted or expired."
    ),
    Family(
        name="sottovoce_limited_total",
        kind=Counter,
        labels=("rule",),
        meaning="Requests refused by a limit: submit, read (too fast), jobs (too many at once), storage.",
    ),
    Family(
        name="sottovoce_realtime_audio_seconds_total",
        kind=Counter,
        labels=(),
        meaning="Seconds of audio that realtime sessions processed.",
    ),
    Family(
        name="sottovoce_realtime_decodes_total",
        kind=Counter,
        labels=("outcome",),
        meaning="Decodes of realtime sessions: done, or skipped because the session was behind (its text came later).",
    ),
    Family(
        name="sottovoce_realtime_final_seconds",
        kind=Histogram,
        labels=(),
        meaning="Seconds from the arrival of the audio of a final's last word to the final.",
        buckets=_DELAYS,
    ),
    Family(
        name="sottovoce_realtime_lag_seconds",
        kind=Gauge,
        labels=(),
        meaning="Seconds of audio that the realtime session furthest behind has received and not processed.",
    ),
    Family(
        name="sottovoce_realtime_partial_seconds",
        kind=Histogram,
        labels=(),
        meaning="Seconds from the arrival of the audio of a partial's last word to the partial.",
        buckets=_DELAYS,
    ),
    Family(
        name="sottovoce_realtime_refused_total",
        kind=Counter,
        labels=("why",),
        meaning="Realtime sessions refused: full (503), stopping (503), quota (of the caller).",
    ),
    Family(name="sottovoce_realtime_sessions", kind=Gauge, labels=(), meaning="Realtime sessions of this process."),
    Family(
        name="sottovoce_realtime_sessions_started_total",
        kind=Counter,
        labels=("model", "why"),
        meaning="Realtime sessions by model: chosen (the best one), or load (a smaller one, because the best had no room).",
    ),
    Family(
        name="sottovoce_realtime_translations_total",
        kind=Counter,
        labels=("outcome",),
        meaning="Sentences of realtime sessions, for each target language: translated, or left out (failed, or too late).",
    ),
    Family(
        name="sottovoce_realtime_sessions_ended_total",
        kind=Counter,
        labels=("outcome",),
        meaning="Realtime sessions that ended: done, gone (the client left early), or the type of the error.",
    ),
    Family(
        name="sottovoce_recognition_seconds_total",
        kind=Counter,
        labels=("engine",),
        meaning="Seconds spent on recognition.",
    ),
    Family(
        name="sottovoce_queue_eta_seconds",
        kind=Gauge,
        labels=(),
        meaning="Estimated seconds until the queue is empty; -1 without a worker.",
    ),
    Family(name="sottovoce_queue_jobs", kind=Gauge, labels=(), meaning="Jobs that wait for a slot."),
    Family(
        name="sottovoce_queue_oldest_seconds",
        kind=Gauge,
        labels=(),
        meaning="Seconds that the oldest queued job has waited.",
    ),
    Family(
        name="sottovoce_results_lost_total",
        kind=Counter,
        labels=("why",),
        meaning="Reads of results of done jobs that the store lacks (missing) or that cannot be decoded (unreadable).",
    ),
    Family(name="sottovoce_slots", kind=Gauge, labels=("engine", "use"), meaning="Engine processes: busy and all."),
    Family(name="sottovoce_upload_bytes_total", kind=Counter, labels=(), meaning="Media bytes received."),
)
"""Every metric."""
PARTS = ("job", "stage", "delivery", "fetch", "reaper", "credits", "usage", "sweep", "projects", "periodic")
"""The values of `where` of internal errors."""
OUR_FAULTS = ("job_error", "unknown_error")
"""The outcomes of realtime sessions that ended by a fault of the server."""
LOSSES = ("missing", "unreadable")
"""The values of `why` of lost results."""


def _meter(family: Family, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name = family.name.removesuffix("_total")
    if family.kind is Histogram:
        return Histogram(name, family.meaning, family.labels, registry=registry, buckets=family.buckets)
    return family.kind(name, family.meaning, family.labels, registry=registry)


class RealtimeMetrics:
    """The metrics of realtime sessions, times in seconds."""

    def __init__(self, meters: Mapping[str, Any]) -> None:
        self._audio: Counter = meters["sottovoce_realtime_audio_seconds_total"]
        self._decodes: Counter = meters["sottovoce_realtime_decodes_total"]
        self._translations: Counter = meters["sottovoce_realtime_translations_total"]
        for outcome in ("done", "skipped"):  # a rate needs both from the beginning
            self._decodes.labels(outcome)
        self._final: Histogram = meters["sottovoce_realtime_final_seconds"]
        self._partial: Histogram = meters["sottovoce_realtime_partial_seconds"]
        self._refused: Counter = meters["sottovoce_realtime_refused_total"]
        self._ended: Counter = meters["sottovoce_realtime_sessions_ended_total"]
        self._started: Counter = meters["sottovoce_realtime_sessions_started_total"]
        for outcome in OUR_FAULTS:  # each series starts at 0: an alert on an increase would miss one that starts at 1
            self._ended.labels(outcome)
        for outcome in ("done", "left_out"):
            self._translations.labels(outcome)
        self._refused.labels("full")
        self._running: Gauge = meters["sottovoce_realtime_sessions"]
        self._lag: Gauge = meters["sottovoce_realtime_lag_seconds"]

    def audio(self, seconds: float) -> None:
        """*seconds* of audio were processed."""
        self._audio.inc(seconds)

    def decodes(self, done: int, skipped: int) -> None:
        """Audio was decoded *done* times, and *skipped* times less than planned."""
        self._decodes.labels("done").inc(done)
        self._decodes.labels("skipped").inc(skipped)

    def final(self, delay: float) -> None:
        """A final came *delay* after the audio of its last word."""
        self._final.observe(delay)

    def partial(self, delay: float) -> None:
        """A partial came *delay* after the audio of its last word."""
        self._partial.observe(delay)

    def translated(self, done: int, left_out: int) -> None:
        """*done* sentences were translated into one language, and *left_out* were not."""
        self._translations.labels("done").inc(done)
        self._translations.labels("left_out").inc(left_out)

    def refused(self, why: str) -> None:
        """A session was refused: `full`, `stopping` or `quota`."""
        self._refused.labels(why).inc()

    def started(self, model: str, why: str) -> None:
        """A session gets *model*: `chosen`, or a smaller one because of the `load`."""
        self._started.labels(model, why).inc()

    def ended(self, outcome: str) -> None:
        """A session ended as *outcome*."""
        self._ended.labels(outcome).inc()

    def set_running(self, sessions: int, lag: float) -> None:
        """Set the number of sessions, and the seconds of audio that the one furthest behind has not processed."""
        self._running.set(sessions)
        self._lag.set(lag)


class Metrics:
    """The metrics of one process, in their own registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it would add a useless series per counter
        meters: dict[str, Any] = {family.name: _meter(family, self._registry) for family in FAMILIES}
        self.realtime = RealtimeMetrics(meters)
        self._audio: Counter = meters["sottovoce_audio_seconds_total"]
        self._deliveries: Counter = meters["sottovoce_deliveries_total"]
        self._fetches: Counter = meters["sottovoce_fetches_total"]
        self._deaths: Counter = meters["sottovoce_engine_deaths_total"]
        self._latency: Histogram = meters["sottovoce_http_request_seconds"]
        self._requests: Counter = meters["sottovoce_http_requests_total"]
        self._of_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._jobs: Gauge = meters["sottovoce_jobs"]
        self._accepted: Counter = meters["sottovoce_jobs_accepted_total"]
        self._finished: Counter = meters["sottovoce_jobs_finished_total"]
        self._removed: Counter = meters["sottovoce_jobs_removed_total"]
        self._limited: Counter = meters["sottovoce_limited_total"]
        self._work: Counter = meters["sottovoce_recognition_seconds_total"]
        self._eta: Gauge = meters["sottovoce_queue_eta_seconds"]
        self._waiting: Gauge = meters["sottovoce_queue_jobs"]
        self._oldest: Gauge = meters["sottovoce_queue_oldest_seconds"]
        self._broken: Counter = meters["sottovoce_internal_errors_total"]
        for where in PARTS:  # each series starts at 0: an alert on an increase would miss one that starts at 1
            self._broken.labels(where)
        self._reaped: Counter = meters["sottovoce_jobs_reaped_total"]
        self._results: Counter = meters["sottovoce_results_lost_total"]
        for why in LOSSES:
            self._results.labels(why)
        self._slots: Gauge = meters["sottovoce_slots"]
        self._uploads: Counter = meters["sottovoce_upload_bytes_total"]

    def accepted(self, api: str, size: int) -> None:
        """A job was accepted with *size* bytes of media."""
        self._accepted.labels(api).inc()
        self._uploads.inc(size)

    def finished(self, state: str) -> None:
        """A job ended as *state*."""
        self._finished.labels(state).inc()

    def removed(self, why: str, count: int = 1) -> None:
        """*count* jobs were removed: `deleted` by their owner, or `expired`."""
        self._removed.labels(why).inc(count)

    def limited(self, rule: str) -> None:
        """A request was refused because of *rule*: `submit`, `read`, `jobs` or `storage`."""
        self._limited.labels(rule).inc()

    def recognised(self, engine: str, *, audio: float, seconds: float) -> None:
        """*engine* recognised *audio* seconds of audio in *seconds*."""
        self._audio.labels(engine).inc(audio)
        self._work.labels(engine).inc(seconds)

    def child_died(self) -> None:
        """An engine process died during a job."""
        self._deaths.inc()

    def delivered(self, kind: str, outcome: str) -> None:
        """An attempt at a delivery of *kind* was recorded."""
        self._deliveries.labels(kind, outcome).inc()

    def fetched(self, outcome: str) -> None:
        """An attempt at fetching media was recorded."""
        self._fetches.labels(outcome).inc()

    def broke(self, where: str) -> None:
        """A bug, or stored data that this release cannot read, ended work of *where*, one of `PARTS`."""
        self._broken.labels(where).inc()

    def result_lost(self, why: str) -> None:
        """The result of a done job was wanted and is lost: *why* is one of `LOSSES`."""
        self._results.labels(why).inc()

    def reaped(self) -> None:
        """An abandoned job was requeued."""
        self._reaped.inc()

    def set_queue(self, waiting: int, oldest: float, eta: float | None) -> None:
        """Set the queue's length, and in seconds the age of its oldest job and the estimate (-1 without a worker)."""
        self._waiting.set(waiting)
        self._oldest.set(oldest)
        self._eta.set(-1 if eta is None else eta)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered in *seconds*. *route* is the pattern, not the path: each id in a path would add a series."""
        # looking up a series by its labels takes longer than counting: keep the series of each combination
        series = self._of_requests.get((route, method, status))
        if series is None:
            series = self._requests.labels(route, method, str(status)), self._latency.labels(route, method)
            self._of_requests[route, method, status] = series
        series[0].inc()
        series[1].observe(seconds)

    def handshake(self, route: str, status: int) -> None:
        """The handshake of a WebSocket was answered with *status*. Its time is that of the session, so it is not measured."""
        self._requests.labels(route, "GET", str(status)).inc()

    def snapshot(self, jobs: Mapping[str, int], slots: Mapping[str, tuple[int, int]], states: Iterable[str]) -> None:
        """Set the gauges that are computed at scrape time."""
        for state in states:
            self._jobs.labels(state).set(jobs.get(state, 0))
        for engine, (busy, all_slots) in slots.items():
            self._slots.labels(engine, "busy").set(busy)
            self._slots.labels(engine, "all").set(all_slots)

    def render(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self._registry)
