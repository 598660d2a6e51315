"""Databases, blobs, encryption at rest and the data folder."""
