"""The regions that the contract knows, an operator's own, and what each of them does (contract `batch-v2.md` §1)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

NAME = r"^[a-z]{2,8}[0-9]{1,2}$"
"""What a region may be called: it stands in paths, URLs and database names."""


class Mode(StrEnum):
    """A way to be heard, which a region has or lacks; a server's role of the same name does it."""

    BATCH = "batch"
    REALTIME = "realtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """*number*: the last two digits of its V1 job ids, by which they are disjoint. *place* `None`: the operator's own."""

    name: str
    number: int
    modes: frozenset[Mode]
    place: str | None = None

    @property
    def label(self) -> str:
        """Its name as people write it."""
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
"""Those of them that every client may expect; the other two are for who sets them up."""


def region(name: str, *, number: int | None = None, modes: Collection[str] = ()) -> Region:
    """The region called *name*. *number* and *modes*, where given, are the operator's; a known region may do less than the
    contract says, never more. Raises `ValueError` that names the setting.
    """
    known = KNOWN.get(name)
    found = number or (known.number if known else None)
    if found is None:
        raise ValueError(f"region {name} needs SOTTOVOCE_REGION_NUMBER (1 to 99, of its own)")
    most = known.modes if known else _BOTH
    wanted = frozenset(map(Mode, modes)) or most
    if excess := sorted(wanted - most):
        raise ValueError(f"SOTTOVOCE_REGION_MODES: region {name} has no {', '.join(excess)}")
    return Region(name=name, number=found, modes=wanted, place=known.place if known else None)


def roles(here: Region, wanted: Collection[str], *, explicit: bool) -> frozenset[str]:
    """*wanted* roles of a server in the region *here*: without those that it lacks, unless they were asked for in so many words.

    Raises `ValueError` that names the setting.
    """
    lacking = frozenset(map(str, Mode)) - here.modes
    if explicit and (excess := sorted(lacking & frozenset(wanted))):
        has = " and ".join(sorted(here.modes))
        raise ValueError(f"SOTTOVOCE_ROLES: region {here.name} has no {', '.join(excess)}, only {has}")
    return frozenset(wanted) - lacking
