"""Why one file failed; the other files go on."""


class FileFailed(Exception):
    """A file cannot be found, read, transcribed or written; the message says why, without the file's name."""


class Unavailable(FileFailed):
    """The server, the engine or the disk cannot be used now; the file itself may be good, and another try may succeed."""
