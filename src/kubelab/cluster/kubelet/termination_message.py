"""What a container said of its own end.

Upstream: getTerminationMessage in pkg/kubelet/kuberuntime/kuberuntime_container.go: the file at terminationMessagePath,
at most 4096 bytes of it; else, where `FallbackToLogsOnError` asks for it, the end of the log.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kubelab.cluster.kubelet.runtime_status import TERMINATION_PATH, TERMINATION_POLICY
from kubelab.runtime.api import ContainerState, ContainerStatus

MESSAGE_LIMIT = 4096  # bytes
LOG_LIMIT, LOG_LINES = 2048, 80


def with_message(container: ContainerStatus) -> ContainerStatus:
    """The status with the container's own last words, where it has ended and the runtime has nothing to say."""
    if container.state != ContainerState.EXITED or container.message:
        return container
    message = _read(container.config.annotations.get(TERMINATION_PATH, ""))
    wants_log = container.config.annotations.get(TERMINATION_POLICY) == "FallbackToLogsOnError"
    if not message and wants_log and container.exit_code:
        message = _end_of_log(container.config.log_path)
    return replace(container, message=message) if message else container


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(MESSAGE_LIMIT).decode(errors="replace")
    except OSError:
        return ""


def _end_of_log(path: str) -> str:
    """The last lines of a log in CRI's format: each is `time stream tag text`."""
    try:
        lines = Path(path).read_bytes().splitlines()[-LOG_LINES:]
    except OSError:
        return ""
    text = b"\n".join(line.split(b" ", 3)[-1] for line in lines)
    return text[-LOG_LIMIT:].decode(errors="replace")
