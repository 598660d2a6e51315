"""Stages by a language model behind an OpenAI-compatible endpoint, which the operator names. Off unless configured."""
