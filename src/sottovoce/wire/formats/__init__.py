"""A transcript or an alignment in each output format."""
