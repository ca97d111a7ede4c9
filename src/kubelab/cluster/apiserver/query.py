"""Query parameters, checked: what a request asks for beyond its path.

Upstream: meta/v1 ListOptions, CreateOptions, UpdateOptions, PatchOptions and their validation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.apiserver import errors, fieldselector, labelselector
from kubelab.cluster.apiserver.fielderrors import forbidden, not_supported
from kubelab.cluster.apiserver.registry import Options
from kubelab.cluster.resources import Resource

TRUE = ("1", "t", "T", "true", "TRUE", "True")


@dataclass(frozen=True)
class ListOptions:
    """A list or watch. `resource_version` is None where none was given."""

    label_selector: str = ""
    field_selector: str = ""
    watch: bool = False
    resource_version: int | None = None
    match: str = ""  # resourceVersionMatch
    limit: int = 0
    continue_token: str = ""
    bookmarks: bool = False
    timeout_seconds: float | None = None
    send_initial_events: bool = False

    @property
    def selects(self) -> bool:
        return bool(self.label_selector or self.field_selector)


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean as Go and Python clients write it: `true`, `True`, `1`."""
    return query.get(name, "") in TRUE


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Raises 400 for parameters that cannot be read."""
    version = query.get("resourceVersion", "")
    _check_initial_events(query)
    timeout = query.get("timeoutSeconds", "")
    return ListOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        watch=flag(query, "watch"),
        resource_version=number(version, "resourceVersion") if version else None,
        match=query.get("resourceVersionMatch", ""),
        limit=number(query.get("limit") or "0", "limit"),
        continue_token=query.get("continue", ""),
        bookmarks=flag(query, "allowWatchBookmarks"),
        timeout_seconds=float(number(timeout, "timeoutSeconds")) if timeout else None,
        send_initial_events=flag(query, "sendInitialEvents"),
    )


def _check_initial_events(query: Mapping[str, str]) -> None:
    """`sendInitialEvents` makes sense in one combination only; 422 lets clients fall back to list and watch."""
    if "sendInitialEvents" not in query:
        return
    problems = []
    if not flag(query, "watch"):
        problems.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    elif query.get("resourceVersionMatch") != "NotOlderThan":
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        problems.append(forbidden("resourceVersionMatch", text))
    if problems:
        raise errors.invalid("ListOptions", "meta.k8s.io", "", problems)


def number(text: str, name: str) -> int:
    if not text.isdigit():
        raise errors.bad_request(f"invalid {name}: {json.dumps(text)}: expected a number that is not negative")
    return int(text)


def selector(options: ListOptions, resource: Resource) -> Callable[[dict[str, Any]], bool]:
    """One function for both selectors. Raises 400."""
    try:
        by_label = labelselector.parse(options.label_selector)
        by_field = fieldselector.parse(options.field_selector, resource.kind)
    except labelselector.SelectorError as error:
        raise errors.bad_request(str(error)) from None
    return lambda obj: by_label(obj["metadata"].get("labels")) and by_field(obj)


def write_options(query: Mapping[str, str]) -> Options:
    """dryRun and fieldManager. Raises 422 for a dryRun other than All."""
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        problem = not_supported("dryRun", dry_run, ("All",))
        raise errors.invalid("CreateOptions", "meta.k8s.io", "", [problem])
    return Options(dry_run=bool(dry_run), field_manager=query.get("fieldManager", ""))
