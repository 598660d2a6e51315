"""Engine adapters (recognition, alignment, diarization), their models, and the registry that chooses among them."""
