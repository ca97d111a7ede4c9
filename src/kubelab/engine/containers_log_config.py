"""`docker run --log-driver --log-opt`: which drivers there are, and how much of a log is kept.

Upstream: moby's daemon/logger/{jsonfilelog,local} and their defaults. Whatever the driver, output is written down in
CRI's format (`kubelab.runtime.logs`), for `docker attach` reads it there.
"""

from __future__ import annotations

import re
from typing import Any

from kubelab.engine.errors import DockerError

Fields = dict[str, Any]
FAILED = "failed to initialize logging driver"
DRIVERS = ("json-file", "local", "none")
_OPTIONS = ("max-size", "max-file")
_SHOWN_ONLY = ("compress", "env", "env-regex", "labels", "labels-regex", "tag")  # of json-file, not served
_DEFAULTS = {"json-file": (0, 1), "local": (20_000_000, 5), "none": (20_000_000, 2)}  # (bytes of a file, files)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}  # docker/go-units: FromHumanSize


def check(config: Fields) -> Fields:
    """Completed. Raises DockerError 400. Whether the options' values can be is seen at the start, as with dockerd."""
    kind, options = config.get("Type") or "json-file", config.get("Config") or {}
    if kind not in DRIVERS:
        raise DockerError(400, f'error looking up logging plugin {kind}: plugin "{kind}" not found')
    checked = {"Type": kind, "Config": options}
    if kind == "none":
        return checked
    for name in options:
        if name in _SHOWN_ONLY and options[name] not in ("", "false"):
            raise DockerError(400, f"log opt '{name}' is not supported by this engine: leave it out")
        if name not in (*_OPTIONS, *_SHOWN_ONLY):
            raise DockerError(400, f"unknown log opt '{name}' for {kind} log driver")
    return checked


def limits(config: Fields) -> tuple[int, int]:
    """Bytes after which a log is put aside (0: never), and how many files are kept. Raises DockerError 500."""
    most_bytes, most_files = _DEFAULTS[config["Type"]]
    if config["Type"] == "none":
        return most_bytes, most_files
    options = config["Config"]
    if size := options.get("max-size"):
        most_bytes = _size(size)
    if number := options.get("max-file"):
        if not re.fullmatch(r"[+-]?\d+", number):
            raise _bad(f'strconv.Atoi: parsing "{number}": invalid syntax')
        most_files = int(number)
        if most_files < 1:
            raise _bad("max-file cannot be less than 1")
    return most_bytes, most_files


def _size(text: str) -> int:
    """`10m`: ten million bytes; -1 is without limit."""
    if text == "-1":
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?", text.lower())
    if not found:
        raise _bad(f"invalid size: '{text}'")
    if not (size := int(float(found[1]) * _UNITS[found[2]])):
        raise _bad("max-size must be a positive number")
    return size


def _bad(message: str) -> DockerError:
    return DockerError(500, f"{FAILED}: {message}")
