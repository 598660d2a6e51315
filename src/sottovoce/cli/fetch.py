"""Models that a server needs and that its operator allowed it to fetch (docs/decisions/0006)."""

import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sottovoce.engines.models.store import Model, Progress
    from sottovoce.settings import Settings

_log = logging.getLogger(__name__)

FIRST = {"cpu": "whisper-small", "cuda": "whisper-large-v3-turbo"}
"""The model for a server that has none: what a CPU does faster than real time, and what a GPU makes light work of."""


def fetch_missing(settings: "Settings") -> None:
    """Fetch what *settings* name or need and the shelf lacks: with `--engine whisper`, or with fetching switched on.

    With engine `auto` a failure is a line in the log, since the server works without; else it ends the start.
    """
    from sottovoce.cli.models import model_source
    from sottovoce.engines.models.store import ModelFault, Shelf
    from sottovoce.web.app import models_folder

    if "batch" not in settings.roles or not (settings.engine == "whisper" or settings.fetch_models):
        return
    shelf = Shelf(models_folder(settings))
    for model in _missing(settings, shelf.present()):
        try:
            shelf.pull(model, model_source(settings, None), _Told())
        except ModelFault as fault:
            if settings.engine != "auto":
                raise click.ClickException(str(fault)) from fault
            _log.warning("model not fetched", extra={"model": model.name, "why": str(fault)})


class _Told:
    """Progress as log lines: one a step, and one for each tenth of a download."""

    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None

    def __call__(self, progress: "Progress") -> None:
        """Tell what was not told before."""
        tenth = 10 * progress.done // progress.total if progress.total else 0
        if (progress.step, tenth) != self._last:
            self._last = progress.step, tenth
            said = {"model": progress.model, "step": progress.step, "bytes": progress.done, "of": progress.total}
            _log.info("model wanted", extra=said)


def _missing(settings: "Settings", present: "tuple[Model, ...]") -> "list[Model]":
    """Models to fetch: those that the settings name, else a first one where no Whisper is present. Raises `ClickException`."""
    from sottovoce.engines.catalogue import find
    from sottovoce.engines.models.store import ModelFault
    from sottovoce.web.app import engines

    here = {model.name for model in present}
    named = [name for name in (settings.standard_model, settings.enhanced_model) if name]
    if not named and not any(model.engine == "whisper" for model in present):
        named = [FIRST[engines(settings)[0].kind_of_device]]
    try:
        return [find(name) for name in dict.fromkeys(named) if name not in here]
    except ModelFault as fault:
        raise click.ClickException(str(fault)) from fault
