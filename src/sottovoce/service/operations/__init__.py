"""What an operator does: checks, backup, key rotation, supervision of several regions."""
