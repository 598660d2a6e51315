"""The regions of the contract, an operator's own regions, and the modes of each (contract `batch-v2.md` §1)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

NAME = r"^[a-z]{2,8}[0-9]{1,2}$"
"""Pattern of region names, which are used in paths, URLs and database names."""


class Mode(StrEnum):
    """A mode of transcription that a region supports or lacks; the server role of the same name provides it."""

    BATCH = "batch"
    REALTIME = "realtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """*number*: the last two digits of its V1 job ids, unique per region. *place*: `None` for an operator's own region."""

    name: str
    number: int
    modes: frozenset[Mode]
    place: str | None = None

    @property
    def label(self) -> str:
        """The name in upper case, for display."""
        return self.name.upper()


_BOTH = frozenset(Mode)

KNOWN: Mapping[str, Region] = {
    "eu1": Region(name="eu1", number=1, modes=_BOTH, place="Europe"),
    "us1": Region(name="us1", number=2, modes=_BOTH, place="United States"),
    "au1": Region(name="au1", number=3, modes=frozenset({Mode.BATCH}), place="Australia"),
    "eu2": Region(name="eu2", number=4, modes=_BOTH, place="Europe"),
    "us2": Region(name="us2", number=5, modes=_BOTH, place="United States"),
}
"""The contract's regions."""

GENERAL = ("eu1", "us1", "au1")
"""The generally available regions; the other two are for enterprise customers."""


def region(name: str, *, number: int | None = None, modes: Collection[str] = ()) -> Region:
    """The region *name*, with the operator's *number* and *modes* where given.

    A region of the contract may support fewer modes than the contract lists, but not more. Raises `ValueError` that names the
    setting.
    """
    known = KNOWN.get(name)
    found = number or (known.number if known else None)
    if found is None:
        raise ValueError(f"region {name} needs SOTTOVOCE_REGION_NUMBER: a number from 1 to 99 that no other region has")
    most = known.modes if known else _BOTH
    wanted = frozenset(map(Mode, modes)) or most
    if excess := sorted(wanted - most):
        raise ValueError(f"SOTTOVOCE_REGION_MODES: region {name} has no {', '.join(excess)}")
    return Region(name=name, number=found, modes=wanted, place=known.place if known else None)


def roles(here: Region, wanted: Collection[str], *, explicit: bool) -> frozenset[str]:
    """The *wanted* roles of a server in the region *here*, without the modes that the region lacks.

    Raises `ValueError` that names the setting if *wanted* is *explicit* and has such a mode.
    """
    lacking = frozenset(map(str, Mode)) - here.modes
    if explicit and (excess := sorted(lacking & frozenset(wanted))):
        has = " and ".join(sorted(here.modes))
        raise ValueError(f"SOTTOVOCE_ROLES: region {here.name} has no {', '.join(excess)}, only {has}")
    return frozenset(wanted) - lacking
