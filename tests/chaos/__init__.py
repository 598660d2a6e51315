"""Seeded faults against real processes: `python -m tests.chaos --rounds N --seed S`, or `make chaos`.

`worlds` starts what a round needs, `faults` does the damage, `rounds` lets it heal and looks at what is left, `checks` knows
what must be true then. `docs/reliability.md` says what is promised.
"""
