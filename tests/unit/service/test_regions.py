import pytest

from sottovoce.service import regions
from sottovoce.service.regions import KNOWN, Mode
from sottovoce.web.api.discovery import region_infos


def test_the_contracts_regions_have_their_modes() -> None:
    """Contract §1: AU1 has batch only."""
    assert {name: sorted(found.modes) for name, found in KNOWN.items()} == {
        "eu1": ["batch", "realtime"],
        "us1": ["batch", "realtime"],
        "au1": ["batch"],
        "eu2": ["batch", "realtime"],
        "us2": ["batch", "realtime"],
    }
    assert regions.GENERAL == ("eu1", "us1", "au1")


def test_no_two_regions_number_their_jobs_alike() -> None:
    """The numbers stand in ids that V1 clients keep: these never change."""
    assert {name: found.number for name, found in KNOWN.items()} == {"eu1": 1, "us1": 2, "au1": 3, "eu2": 4, "us2": 5}
    assert all(name == found.name for name, found in KNOWN.items())


def test_a_region_of_ones_own_needs_a_number_and_may_do_everything() -> None:
    with pytest.raises(ValueError, match="SOTTOVOCE_REGION_NUMBER"):
        regions.region("attic1")
    own = regions.region("attic1", number=42)
    assert (own.number, own.modes, own.label, own.place) == (42, frozenset(Mode), "ATTIC1", None)
    assert regions.region("attic1", number=42, modes=("batch",)).modes == {Mode.BATCH}


def test_a_known_region_may_do_less_and_never_more() -> None:
    assert regions.region("eu1", modes=("batch",)).modes == {Mode.BATCH}
    assert regions.region("eu1", number=77).number == 77
    with pytest.raises(ValueError, match="SOTTOVOCE_REGION_MODES: region au1 has no realtime"):
        regions.region("au1", modes=("batch", "realtime"))


def test_a_server_leaves_out_what_its_region_lacks() -> None:
    every = ("api", "batch", "realtime")
    au1 = regions.region("au1")
    assert regions.roles(au1, every, explicit=False) == {"api", "batch"}
    assert regions.roles(au1, ("api", "batch"), explicit=True) == {"api", "batch"}
    assert regions.roles(regions.region("eu1"), every, explicit=True) == set(every)
    with pytest.raises(ValueError, match="SOTTOVOCE_ROLES: region au1 has no realtime, only batch"):
        regions.roles(au1, every, explicit=True)


@pytest.mark.parametrize(("live", "both"), [(True, ["batch", "realtime"]), (False, ["batch"])])
def test_this_region_comes_first_and_only_modes_that_are_there_are_named(live: bool, both: list[str]) -> None:
    own = regions.region("attic1", number=42)
    urls = {"us1": "https://us1.example.org", "cellar1": "https://cellar.example.org"}
    shown = region_infos(own, urls, live=live)
    assert [(place.name, place.modes, place.url) for place in shown] == [
        ("attic1", both, None),
        ("eu1", both, None),
        ("us1", both, "https://us1.example.org"),
        ("au1", ["batch"], None),
        ("cellar1", None, "https://cellar.example.org"),  # it can be asked itself
    ]
