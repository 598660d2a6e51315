"""The embedded diarizer: Gaussian models of spectral features; it needs no weights."""
