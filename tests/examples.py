"""How many examples a property is tried with: few in every run of the tests, many in a search for new ones (`SEARCH=1`)."""

import os

SEARCH = bool(os.environ.get("SEARCH"))
"""Whether to look for new examples. Otherwise they are the same in every run, so that a failure comes from a change of the code."""
DEFAULT = 100
"""Examples of a property that names no number, in a search."""


def examples(number: int) -> int:
    """*number* in a search; otherwise a third of it, and at least 15: the same ones in every run need not be many."""
    return number if SEARCH else min(number, max(15, number // 3))
