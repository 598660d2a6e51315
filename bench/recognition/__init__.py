"""The parts of `bench.accuracy`: what each of its measurements builds, runs and counts."""
