"""What the course says when something is not as it should be: what, where, and the next step."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot do what was asked. The message names the next step."""


class NotInTime(LabError):
    """A wait came to its deadline. The message says what the object looked like then."""


def engines_do_not_answer(what: str, error: object) -> LabError:
    """The one message for engines that are away, whichever of them it is."""
    return LabError(
        f"{what} does not answer ({error}). Next: run `kubelab status`, and if it is not running, `kubelab doctor`."
    )
