"""Finding the isolation level."""

from __future__ import annotations

from typing import Any

from kubelab.home import Home
from kubelab.runtime.isolation import Isolation
from kubelab.runtime.namespaces import Namespaces


def choose(home: Home) -> tuple[Isolation, list[dict[str, Any]]]:
    return Namespaces(home), []
