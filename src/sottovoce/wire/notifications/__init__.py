"""The body and the signature of a notification."""
