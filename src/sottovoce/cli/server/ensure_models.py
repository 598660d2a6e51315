"""Models that a server needs: those of its image, those that its operator lets it fetch, and what is wrong with the rest.

Decisions: docs/decisions/0006 (the server fetches only when it is told to) and 0009 (where models come from).
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
"""Models for a server that has none, of which the first that can be had is taken: what a CPU does faster than real time and
the package index carries, and what a GPU makes light work of."""


def prepare_models(settings: "Settings") -> None:
    """Make the models folder ready for a server: link what came with the image, fetch what may be fetched, say what is wrong.

    Raises `ClickException` when a model that the engine cannot do without cannot be had.
    """
    link_bundled(settings)
    if "batch" not in settings.roles:
        return
    fetch_missing(settings)
    _tell_faults(settings)


def link_bundled(settings: "Settings") -> None:
    """Link the models that came with an image into the models folder, where it has no folder of that name."""
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
    """Point *link* at *model*, unless there is a model. Two servers on one folder may do it at once. Raises OSError."""
    if link.is_symlink() and not link.exists():  # the image of before had it elsewhere
        link.unlink(missing_ok=True)
    try:
        link.symlink_to(model)
    except FileExistsError:
        return


def fetch_missing(settings: "Settings") -> None:
    """Fetch what *settings* name or need and the shelf lacks: with `--engine whisper`, or with fetching switched on.

    With engine `auto` a failure is a line in the log, since the server works without; else it ends the start.
    """
    from sottovoce.bootstrap import models_folder
    from sottovoce.cli.local.models import model_sources
    from sottovoce.engines.models import sources
    from sottovoce.engines.models.store import ModelFault, ModelStore

    if not (settings.engine == "whisper" or settings.fetch_models):
        return
    shelf, asked = ModelStore(models_folder(settings)), model_sources(settings, None)
    for models in _missing(settings, shelf):
        fault = None
        for model in models:
            try:
                sources.pull(shelf, model, asked, _Told(), offline=settings.offline)
            except ModelFault as error:
                fault = error
                _log.warning("model not fetched", extra={"model": model.name, "why": str(error)})
            else:
                fault = None
                break
        if fault is not None and settings.engine != "auto":
            raise click.ClickException(str(fault)) from fault


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


def _missing(settings: "Settings", shelf: "ModelStore") -> "list[list[Model]]":
    """Models to fetch: each one that the settings name, else a first one where no Whisper is present (one of several).

    Raises `ClickException`.
    """
    from sottovoce.bootstrap import engines
    from sottovoce.engines.models.catalogue import canonical, find
    from sottovoce.engines.models.store import ModelFault

    present = shelf.present()
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


def _tell_faults(settings: "Settings") -> None:
    """Say in the log, once for each, which folders cannot be used and why; and what to run if no model is here at all."""
    from sottovoce.bootstrap import models_folder
    from sottovoce.engines import remedies
    from sottovoce.engines.models.store import ModelStore

    shelf = ModelStore(models_folder(settings))
    for name, fault in shelf.faults():
        told = {"model": name, "why": fault, "remedy": remedies.of_fault(name)}
        _log.warning("model cannot be used", extra=told)
    first = remedies.to_pull("auto")
    if settings.engine == "auto" and first and not any(remedies.languages_of(model) for model in shelf.present()):
        told = {"folder": str(shelf.folder), "remedy": f"run {remedies.command(first)} and restart"}
        _log.warning("no model is here: English alone is recognised, by the embedded engine", extra=told)
