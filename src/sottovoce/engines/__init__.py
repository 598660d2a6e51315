"""Adapters around recognisers, and the table that chooses among them."""
