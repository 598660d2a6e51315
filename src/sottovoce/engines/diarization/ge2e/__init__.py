"""The diarizer that compares voices by GE2E speaker embeddings (d-vectors)."""
