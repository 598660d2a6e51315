"""Alignment with the frame probabilities of a CTC model."""
