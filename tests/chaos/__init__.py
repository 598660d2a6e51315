"""Seeded faults against real processes: `python -m tests.chaos --rounds N --seed S`, or `make chaos`.

`worlds` starts the processes, `faults` injects faults, `rounds` waits for recovery and collects the state, `checks` has the
invariants. `docs/reliability.md` states the promises.
"""
