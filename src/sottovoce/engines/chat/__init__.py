"""Stages of speech intelligence by a language model of the operator's choice (`intelligence/backends/chat`)."""
