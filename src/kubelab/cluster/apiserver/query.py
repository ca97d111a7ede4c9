"""Query parameters, checked: what a request asks for beyond its path.

Upstream: meta/v1 ListOptions, CreateOptions, UpdateOptions, PatchOptions and their validation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.apiserver import errors, fieldselector, labelselector
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, not_supported, required, too_long
from kubelab.cluster.apiserver.registry import Options
from kubelab.cluster.resources import Resource

MATCH, EXACT, NOT_OLDER = "resourceVersionMatch", "Exact", "NotOlderThan"
MAX_MANAGER = 128  # bytes
FIELD_VALIDATION = ("", "Ignore", "Strict", "Warn")
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


def list_options(query: Mapping[str, str], watch_list: bool = False) -> ListOptions:
    """Raises 400 for parameters that cannot be read, 422 for those that do not go together."""
    version = query.get("resourceVersion", "")
    _check_match(query, watch_list)
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


def _check_match(query: Mapping[str, str], watch_list: bool) -> None:
    """Which of resourceVersionMatch, sendInitialEvents and their neighbours make sense together. Raises 422.

    Upstream: ValidateListOptions in apimachinery's pkg/apis/meta/internalversion/validation. A client whose watch is
    refused for `sendInitialEvents` (feature gate WatchList, off in 1.33) falls back to list and watch.
    """
    check = _watch_problems if flag(query, "watch") else _list_problems
    problems = check(query, watch_list) if "sendInitialEvents" in query or query.get(MATCH) else []
    if problems:
        raise errors.invalid("ListOptions", "meta.k8s.io", "", problems)


def _list_problems(query: Mapping[str, str], watch_list: bool) -> list[FieldError]:
    problems, match, version = [], query.get(MATCH, ""), query.get("resourceVersion", "")
    if match and not version:
        problems.append(forbidden(MATCH, f"{MATCH} is forbidden unless resourceVersion is provided"))
    if match and query.get("continue"):
        problems.append(forbidden(MATCH, f"{MATCH} is forbidden when continue is provided"))
    if match not in ("", EXACT, NOT_OLDER):
        problems.append(not_supported(MATCH, match, (EXACT, NOT_OLDER, "")))
    if match == EXACT and version == "0":
        problems.append(forbidden(MATCH, f'{MATCH} "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        problems.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return problems


def _watch_problems(query: Mapping[str, str], watch_list: bool) -> list[FieldError]:
    problems, match, initial = [], query.get(MATCH, ""), "sendInitialEvents" in query
    if initial and match != NOT_OLDER:
        problems.append(forbidden(MATCH, f"sendInitialEvents requires setting {MATCH} to {NOT_OLDER}"))
    if initial and not watch_list:
        text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        problems.append(forbidden("sendInitialEvents", text))
    if match and not initial:
        problems.append(forbidden(MATCH, f"{MATCH} is forbidden for watch unless sendInitialEvents is provided"))
    if match not in ("", NOT_OLDER):
        problems.append(not_supported(MATCH, match, (NOT_OLDER,)))
    if match and query.get("continue"):
        problems.append(forbidden(MATCH, f"{MATCH} is forbidden when continue is provided"))
    return problems


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


def write_options(query: Mapping[str, str], kind: str, apply: bool = False) -> Options:
    """dryRun and fieldManager. Raises 422 for what CreateOptions, UpdateOptions or PatchOptions (`kind`) do not take.

    Upstream: apimachinery's pkg/apis/meta/v1/validation.
    """
    problems, manager, mode = [], query.get("fieldManager", ""), query.get("fieldValidation", "")
    if kind == "PatchOptions" and not apply and query.get("force"):
        problems.append(forbidden("force", "may not be specified for non-apply patch"))
    if apply and not manager:
        problems.append(required("fieldManager", "is required for apply patch"))
    if len(manager.encode()) > MAX_MANAGER:
        problems.append(too_long("fieldManager", MAX_MANAGER))
    for position, letter in enumerate(manager):
        if not letter.isprintable():
            text = f"invalid character U+{ord(letter):04X} (at position {len(manager[:position].encode())})"
            problems.append(invalid("fieldManager", manager, text))
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        problems.append(not_supported("dryRun", [dry_run], ("All",)))
    if mode not in FIELD_VALIDATION:
        problems.append(not_supported("fieldValidation", mode, FIELD_VALIDATION))
    if problems:
        raise errors.invalid(kind, "meta.k8s.io", "", problems)
    return Options(dry_run=bool(dry_run), field_manager=manager)
