"""Recognition and alignment with PocketSphinx and the US English model of its package."""
