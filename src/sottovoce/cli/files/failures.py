"""Why one file failed; the other files go on."""


class FileFailed(Exception):
    """A file cannot be found, read, transcribed or written; the message says why, without the file's name."""
