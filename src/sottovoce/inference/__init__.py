"""The pool of child processes that run the engines."""
