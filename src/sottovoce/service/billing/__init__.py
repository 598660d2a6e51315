"""Credits and usage: the ledger, reservations, settlement, and the copy of usage in the control database."""
