"""Stages that produce results: one file for each stage, and the table of all."""
