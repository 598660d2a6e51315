"""From media of any kind to 16 kHz samples, and where in them somebody speaks."""
