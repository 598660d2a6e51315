"""Moonshine on onnxruntime: English, punctuation and capitals; words get their times from PocketSphinx's forced alignment."""
