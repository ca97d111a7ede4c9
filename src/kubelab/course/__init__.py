"""What the notebooks import: `from kubelab import course; lab = course.start("04")`.

A client of Docker and Kubernetes like any other: it talks to the engines through the `docker` and `kubernetes` packages
and to nothing behind them.
"""

from . import faults, pods
from .errors import LabError, NotInTime
from .lab import Lab
from .source import look_inside
from .start import start

__all__ = ["Lab", "LabError", "NotInTime", "faults", "look_inside", "pods", "start"]
