"""The engines of speech intelligence that need no model: a lexicon, word counts, a spectrum (`intelligence/backends/builtin`)."""
