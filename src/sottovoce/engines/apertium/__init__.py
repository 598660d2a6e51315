"""Translation by Apertium, a program of its own that the operator installs."""
