"""Deletion of jobs and data whose time is over."""
