"""Reproducible measurements: each prints JSON with the machine's fingerprint, and every figure stands beside its baseline."""
