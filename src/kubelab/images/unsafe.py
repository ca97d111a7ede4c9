"""What no archive is allowed to ask for."""


class UnsafeArchive(ValueError):
    """The archive asks for something that is not done; the message names the entry and what is wrong with it."""
