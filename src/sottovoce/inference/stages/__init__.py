"""The stages of speech intelligence of one job, in a process of their own."""
