"""`transcribe`: what it reads (`sources`), what it does with it (`local`, `remote`), what it writes (`outputs`, `reports`)."""
