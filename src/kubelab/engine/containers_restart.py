"""Restart policies: whether a container that has ended starts again, and how long it waits.

Upstream: moby's restartmanager/restartmanager.go.
"""

from __future__ import annotations

from kubelab.engine.containers_record import NEVER, Container

FIRST_WAIT, LONGEST_WAIT = 0.1, 60.0  # seconds
LONG_ENOUGH = 10.0  # seconds of a run after which the waits begin anew


def wanted(container: Container) -> bool:
    """After an end that it came to by itself."""
    policy = container.host_config["RestartPolicy"]
    if container.manually_stopped:
        return False
    if policy["Name"] == "on-failure":
        most = policy["MaximumRetryCount"]
        return container.exit_code != 0 and (not most or container.restart_count < most)
    return policy["Name"] in ("always", "unless-stopped")


def wanted_at_start(container: Container) -> bool:
    """When the engine starts and the container does not run."""
    if container.started_at == NEVER:
        return False
    always = container.host_config["RestartPolicy"]["Name"] == "always"
    return always or wanted(container)


def next_wait(container: Container, ran: float) -> float:
    """Seconds to the next start after a run of `ran` seconds."""
    if ran >= LONG_ENOUGH or not container.backoff:
        return FIRST_WAIT
    return min(container.backoff * 2, LONGEST_WAIT)
