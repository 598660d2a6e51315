"""Backends that need no service and no key: a lexicon, word counts, sentence vectors, and a spectrum."""
