"""`python -m tests.chaos --rounds N --seed S [--backend sqlite|fleet|both] [--fault NAME]`."""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos import media, smalldisk, till
from tests.chaos.faults import FAULTS
from tests.chaos.rounds import Round, calm
from tests.chaos.worlds import WORLDS, World


def play(world: World, name: str, seed: str, *, thorough: bool = False) -> list[str]:
    """Run one round of the fault *name*; return the broken invariants."""
    fault = FAULTS[name]
    round_ = Round(world, f"{name}.{seed}", thorough=thorough)
    begun = time.monotonic()
    try:
        fault.do(round_)
        round_.settle()
        wrong = round_.faults(fault.excused, kills=fault.kills)
    except AssertionError as error:
        wrong = [f"{type(error).__name__}: {error}", *_hints(round_)]
        world.heal()
        world.known |= round_.ledger.acked.keys()
    told = {"backend": world.backend, "fault": name, "seed": seed, "s": round(time.monotonic() - begun, 1)}
    world.totals.update(round_.ledger.counts)
    world.totals["jobs"] += len(round_.ledger.acked)
    told |= {"jobs": len(round_.ledger.acked), "counts": dict(round_.ledger.counts), "wrong": wrong}
    print(json.dumps(told), flush=True)
    return wrong


def _hints(round_: Round) -> list[str]:
    """The state of the jobs, for the developer."""
    found = []
    for job_id in round_.ledger.acked:
        row = round_.world.row(job_id)
        found.append(f"{job_id}: {row.state if row else 'no row'}, queue {round_.world.queue.states([job_id])}")
    return found


def _plan(backend: str, options: argparse.Namespace) -> list[str]:
    """The faults for *backend*, in order, in turn."""
    places = {"small"} if options.small_disk else {"any", "long"} if options.thorough else {"any"}
    names = [name for name, entry in FAULTS.items() if backend in entry.backends and entry.where in places]
    names = [options.fault] if options.fault else names
    return [names[number % len(names)] for number in range(options.rounds)]


def _run(options: argparse.Namespace, backend: str, home: Path) -> Counter[str]:
    result: Counter[str] = Counter()
    with WORLDS[backend](home, forked=options.forked) as world:
        if options.thorough or options.fault == "kill-long":
            world.long = media.make_long(home / "media")
        calm(world)
        for number, name in enumerate(_plan(backend, options)):
            wrong = play(world, name, f"{options.seed}.{number}", thorough=options.thorough)
            result[name] += 1
            result["wrong"] += bool(wrong)
        print(json.dumps({"backend": backend, "counts": dict(world.totals)}))
    return result


def _credits(options: argparse.Namespace, backend: str, home: Path) -> Counter[str]:
    """Rounds of the credits fault: all rounds if it is selected, else its share."""
    result: Counter[str] = Counter()
    with till.opened(backend, home) as opened:
        for number in range(options.rounds if options.fault else _share(options)):
            result["wrong"] += bool(till.play(opened, f"{options.seed}.{number}"))
            result["credits"] += 1
    return result


def _share(options: argparse.Namespace) -> int:
    """The number of rounds of a fault that has a world of its own."""
    return max(1, int(options.rounds) // len(FAULTS))


def main() -> int:
    """Run rounds and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--rounds", type=int, default=20, help="rounds for each backend")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--backend", choices=[*WORLDS, "both"], default="both")
    parser.add_argument("--fault", choices=[*FAULTS, "credits"])
    parser.add_argument("--thorough", action="store_true", help="long media and long locks too")
    parser.add_argument("--home", type=Path, help="keep everything here")
    parser.add_argument("--small-disk", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--forked", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fault in SMALL and not options.small_disk:
        return _on_a_small_disk(options.rounds, options.seed, "--fault", options.fault)
    backends = list(WORLDS) if options.backend == "both" else [options.backend]
    if options.fault in FAULTS:
        backends = [backend for backend in backends if backend in FAULTS[options.fault].backends]
    total: Counter[str] = Counter()
    kinds = {"-credits": _credits} if options.fault == "credits" else {"": _run}
    if not (options.fault or options.small_disk):
        kinds["-credits"] = _credits
    for backend, (suffix, run) in itertools.product(backends, kinds.items()):
        with tempfile.TemporaryDirectory(prefix="sottovoce-chaos-") as folder:
            home = options.home / (backend + suffix) if options.home else Path(folder)
            total += run(options, backend, home)
    if not (options.fault or options.small_disk) and "sqlite" in backends:
        share = _share(options)
        total["wrong"] += _on_a_small_disk(share * len(SMALL), options.seed)
        total.update(dict.fromkeys(SMALL, share))
    print(json.dumps({"total": dict(total)}))
    return int(total["wrong"] > 0)


SMALL = [name for name, fault in FAULTS.items() if fault.where == "small"]


def _on_a_small_disk(rounds: int, seed: str, *more: str) -> int:
    """Run *rounds* of the faults that need a small disk, in turn."""
    if not smalldisk.available():
        print(json.dumps({"small disk": "not run: no unprivileged user namespaces on this machine"}))
        return 0
    arguments = ["--backend", "sqlite", "--rounds", str(rounds), "--seed", seed, *more]
    done = smalldisk.run(arguments, timeout=60 + 120 * rounds)
    print(done.stdout, done.stderr[-3000:] if done.returncode else "")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
