"""What the image store cannot do; the messages are Docker's."""

from __future__ import annotations


class ImageNotFound(LookupError):
    """No such image."""


class ImageConflict(Exception):
    """The image is in use."""
