"""The measurements of `bench.accuracy`."""
