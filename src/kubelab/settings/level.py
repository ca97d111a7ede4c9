"""The runtime level at which a home's state was made. Objects hold addresses of that level; at another one they would
lead nowhere, and none can be changed: a Service's cluster IP is immutable, and upstream's repair controller
(pkg/registry/core/service/ipallocator/controller/repairip.go) only reports one that is out of range.
"""

from __future__ import annotations

from kubelab.home import Home


def made_at(home: Home) -> str:
    """The level, "" where nothing was stored yet."""
    path = home.config / "level"
    return path.read_text().strip() if path.exists() else ""


def remember(home: Home, level: str) -> None:
    (home.config / "level").write_text(level + "\n")


def next_step(level: str) -> str:
    """What to do about state of `level` where a start finds another one."""
    return f"KUBELAB_RUNTIME={level} to keep it, or `kubelab reset` to begin afresh."
