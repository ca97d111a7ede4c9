"""Build arguments: ARG and `--build-arg` (moby: builder/dockerfile/buildargs.go)."""

from __future__ import annotations

from collections.abc import Mapping

# Always allowed, and kept out of the history unless the Dockerfile declares them.
BUILTIN = {name for lower in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy") for name in (lower, lower.upper())}


class BuildArguments:
    """`given`: what the client passed; None for a name without a value."""

    def __init__(self, given: Mapping[str, str | None]) -> None:
        self._given = dict(given)
        self._global: dict[str, str | None] = {}  # of ARGs before the first FROM
        self._declared: dict[str, str | None] = {}  # of this stage
        self._used: set[str] = set()

    def declare_global(self, name: str, default: str | None) -> None:
        self._global[name] = default
        self._used.add(name)

    def declare(self, name: str, default: str | None) -> None:
        self._declared[name] = default
        self._used.add(name)

    def begin_stage(self) -> None:
        self._declared = {}

    def for_from(self) -> dict[str, str]:
        """What FROM's line may use."""
        return self._values(self._global)

    def allowed(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What this step may use; ENV goes before ARG."""
        return {name: value for name, value in self._values(self._declared).items() if name not in environment}

    def shown(self, allowed: Mapping[str, str]) -> list[str]:
        """Those of `allowed` that belong into the history, sorted."""
        return sorted(
            f"{name}={value}" for name, value in allowed.items() if name in self._declared or name not in BUILTIN
        )

    def unused(self) -> list[str]:
        """What the client passed and no ARG asked for."""
        return sorted(name for name in self._given if name not in self._used and name not in BUILTIN)

    def _values(self, declared: Mapping[str, str | None]) -> dict[str, str]:
        found = {name: self._value(name, declared) for name in {*declared, *BUILTIN}}
        return {name: value for name, value in sorted(found.items()) if value is not None}

    def _value(self, name: str, declared: Mapping[str, str | None]) -> str | None:
        given = self._given.get(name)
        if given is not None:
            return given
        default = declared.get(name)
        return default if default is not None else self._global.get(name)
