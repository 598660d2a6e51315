"""Realtime sessions: the protocol as a pure state machine, and its connection to a socket and a recogniser."""
