"""Models: which there are, where they come from, and the folder in which they lie."""
