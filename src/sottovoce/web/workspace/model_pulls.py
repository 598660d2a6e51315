"""Pulls of models that the operator starts from the health page: one at a time, only models of the catalogue, in a thread."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sottovoce.engines.models.catalogue import CATALOGUE, Model
from sottovoce.engines.models.store import Listen, ModelFault, Progress
from sottovoce.errors import Kind, Refused

_log = logging.getLogger(__name__)

Bring = Callable[[Model, Listen], object]
"""Fetches a model into the models folder, and reports its progress. Raises `ModelFault`."""


class PullState(StrEnum):
    """The state of a pull."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """The latest pull of this process: *done* of *total* bytes, as far as they are known. Why it failed is in the log only."""

    model: str
    state: PullState
    step: str = ""
    done: int = 0
    total: int = 0


class ModelPulls:
    """Runs pulls with *bring*. The thread ends with the process; the next pull continues what it left."""

    def __init__(self, bring: Bring) -> None:
        self._bring = bring
        self._lock = threading.Lock()
        self.latest: Pull | None = None

    def start(self, name: str) -> Pull:
        """Start to pull *name*. Raises `Refused`: `PAGE_NOT_FOUND` if the catalogue lacks it, `JOB_LOCKED` while a pull runs."""
        model = CATALOGUE.get(name)
        if model is None:
            raise Refused(Kind.PAGE_NOT_FOUND, "the catalogue has no such model")
        with self._lock:
            if self.latest is not None and self.latest.state is PullState.RUNNING:
                raise Refused(Kind.JOB_LOCKED, f"{self.latest.model} is being pulled; wait until it is here")
            begun = self.latest = Pull(model=name, state=PullState.RUNNING)
        # a daemon: a download of hours must not hold up the end of the server
        threading.Thread(target=self._run, args=(model,), name="model-pull", daemon=True).start()
        return begun

    def _run(self, model: Model) -> None:
        state = PullState.FAILED
        try:
            self._bring(model, self._heard)
            state = PullState.DONE
        except ModelFault as fault:
            _log.warning("model not fetched", extra={"model": model.name, "why": str(fault)})
        except Exception:  # noqa: BLE001 - a bug: without this, the pull would seem to run for ever
            _log.exception("model pull failed", extra={"model": model.name})
        finally:
            seen = self.latest
            self.latest = Pull(
                model=model.name, state=state, done=seen.done if seen else 0, total=seen.total if seen else 0
            )

    def _heard(self, progress: Progress) -> None:
        self.latest = Pull(
            model=progress.model,
            state=PullState.RUNNING,
            step=progress.step,
            done=progress.done,
            total=progress.total,
        )
