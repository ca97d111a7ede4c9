"""Where a pod wants to run: affinity, tolerations, spreading, gates.

Upstream: pkg/apis/core/validation/validation.go (validateAffinity, ValidateTolerations,
validateTopologySpreadConstraints, validateSchedulingGates).
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, duplicate, forbidden, invalid, not_supported, required
from kubelab.cluster.apiserver.validation.common import (
    NOT_POSITIVE,
    label_name,
    label_selector,
    label_values,
    optional,
)

Object = dict[str, Any]
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
OPERATORS = ("Equal", "Exists")
UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
WEIGHT = "must be in the range 1-100"
NOT_AN_OPERATOR = "not a valid selector operator"
IN_BOTH = "exists in both matchLabelKeys and labelSelector"


def affinity(found: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    if "nodeAffinity" in found:
        problems += _node_affinity(found["nodeAffinity"], f"{path}.nodeAffinity")
    for kind in ("podAffinity", "podAntiAffinity"):
        if kind in found:
            problems += _pod_affinity(found[kind], f"{path}.{kind}")
    return problems


# -- nodes


def _node_affinity(found: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    if REQUIRED in found:
        terms, where = found[REQUIRED].get("nodeSelectorTerms") or [], f"{path}.{REQUIRED}.nodeSelectorTerms"
        if not terms:
            problems.append(required(where, "must have at least one node selector term"))
        for index, term in enumerate(terms):
            problems += node_selector_term(term, f"{where}[{index}]", check_values=True)
    for index, preferred in enumerate(found.get(PREFERRED) or ()):
        where = f"{path}.{PREFERRED}[{index}]"
        problems += _weight(preferred, where)
        problems += node_selector_term(preferred.get("preference") or {}, f"{where}.preference", check_values=False)
    return problems


def _weight(term: Object, path: str) -> list[FieldError]:
    weight = term.get("weight", 0)
    return [] if 1 <= weight <= 100 else [invalid(f"{path}.weight", weight, WEIGHT)]


def node_selector_term(term: Object, path: str, *, check_values: bool) -> list[FieldError]:
    """One term of nodeSelectorTerms or a preference, whose values upstream does not look at."""
    problems: list[FieldError] = []
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        problems += _node_expression(expression, f"{path}.matchExpressions[{index}]", check_values)
    for index, expression in enumerate(term.get("matchFields") or ()):
        problems += _node_field(expression, f"{path}.matchFields[{index}]")
    return problems


def _node_expression(expression: Object, path: str, check_values: bool) -> list[FieldError]:
    operator, values = expression.get("operator") or "", expression.get("values") or []
    problems: list[FieldError] = []
    if operator in ("In", "NotIn"):
        if not values:
            problems.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            problems.append(forbidden(f"{path}.values", text))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            problems.append(required(f"{path}.values", text))
    else:
        problems.append(invalid(f"{path}.operator", operator, NOT_AN_OPERATOR))
    problems += label_name(expression.get("key") or "", f"{path}.key")
    return problems + (label_values(values, f"{path}.values") if check_values else [])


def _node_field(expression: Object, path: str) -> list[FieldError]:
    """Of a node's fields only its name can be asked for."""
    operator, values, key = (expression.get(name) for name in ("operator", "values", "key"))
    problems: list[FieldError] = []
    if operator not in ("In", "NotIn"):
        problems.append(invalid(f"{path}.operator", operator or "", NOT_AN_OPERATOR))
    elif len(values or ()) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        problems.append(required(f"{path}.values", text))
    if key != "metadata.name":
        return [*problems, invalid(f"{path}.key", key or "", "not a valid field selector key")]
    for index, value in enumerate(values or ()):
        problems += [invalid(f"{path}.values[{index}]", value, text) for text in names.dns1123_subdomain(value)]
    return problems


# -- pods


def _pod_affinity(found: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, term in enumerate(found.get(REQUIRED) or ()):
        problems += _pod_term(term, f"{path}.{REQUIRED}[{index}]")
    for index, preferred in enumerate(found.get(PREFERRED) or ()):
        where = f"{path}.{PREFERRED}[{index}]"
        problems += _weight(preferred, where)
        problems += _pod_term(preferred.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm")
    return problems


def _pod_term(term: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for field in ("labelSelector", "namespaceSelector"):
        if field in term:
            problems += label_selector(term[field], f"{path}.{field}")
    for name in term.get("namespaces") or ():
        problems += [invalid(f"{path}.namespace", name, text) for text in names.dns1123_label(name)]
    problems += _label_keys(term, path)
    key = term.get("topologyKey") or ""
    if not key:
        problems.append(required(f"{path}.topologyKey", "can not be empty"))
    return problems + label_name(key, f"{path}.topologyKey")


def _label_keys(term: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        keys = term.get(field) or []
        if keys and "labelSelector" not in term:
            text = "must not be specified when labelSelector is not set"
            problems.append(forbidden(f"{path}.{field}", text))
        else:
            problems += [p for i, key in enumerate(keys) for p in label_name(key, f"{path}.{field}[{i}]")]
    for index, key in enumerate(term.get("matchLabelKeys") or ()):
        if key in (term.get("mismatchLabelKeys") or ()):
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            problems.append(invalid(f"{path}.matchLabelKeys[{index}]", key, text))
    return problems


# -- spreading, tolerations, gates


def topology_spread(constraints: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, constraint in enumerate(constraints):
        where = f"{path}[{index}]"
        skew, key, action = (
            constraint.get("maxSkew", 0),
            constraint.get("topologyKey"),
            constraint.get("whenUnsatisfiable"),
        )
        if skew <= 0:
            problems.append(invalid(f"{where}.maxSkew", skew, NOT_POSITIVE))
        if not key:
            problems.append(required(f"{where}.topologyKey", "can not be empty"))
        if action not in UNSATISFIABLE:
            problems.append(not_supported(f"{where}.whenUnsatisfiable", action or "", UNSATISFIABLE))
        later = ((c.get("topologyKey"), c.get("whenUnsatisfiable")) for c in constraints[index + 1 :])
        if (key, action) in later:
            shown = f"{{{key}, {action}}}"
            problems.append(duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", shown))
        problems += _min_domains(constraint.get("minDomains"), action, f"{where}.minDomains")
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            problems += optional(constraint.get(field), ("Honor", "Ignore"), f"{where}.{field}")
        problems += _spread_keys(constraint, where)
        problems += label_selector(constraint.get("labelSelector") or {}, f"{where}.labelSelector")
    return problems


def _min_domains(value: int | None, action: str | None, path: str) -> list[FieldError]:
    if value is None:
        return []
    problems = [invalid(path, value, NOT_POSITIVE)] if value <= 0 else []
    if action != "DoNotSchedule":
        text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        problems.append(invalid(path, value, text))
    return problems


def _spread_keys(constraint: Object, path: str) -> list[FieldError]:
    keys, selector = constraint.get("matchLabelKeys") or [], constraint.get("labelSelector")
    if not keys:
        return []
    problems: list[FieldError] = []
    if selector is None:
        text = "must not be specified when labelSelector is not set"
        problems.append(forbidden(f"{path}.matchLabelKeys", text))
    used = {*((selector or {}).get("matchLabels") or ())}
    used |= {e.get("key") for e in (selector or {}).get("matchExpressions") or ()}
    for index, key in enumerate(keys):
        where = f"{path}.matchLabelKeys[{index}]"
        problems += label_name(key, where)
        if key in used:
            problems.append(invalid(where, key, IN_BOTH))
    return problems


def tolerations(found: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, toleration in enumerate(found):
        where = f"{path}[{index}]"
        key, operator, value, effect = (toleration.get(name) or "" for name in ("key", "operator", "value", "effect"))
        if key:
            problems += label_name(key, f"{where}.key")
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            problems.append(invalid(f"{where}.operator", operator, text))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            problems.append(invalid(f"{where}.effect", effect, text))
        problems += _toleration_value(operator, value, f"{where}.operator")
        if effect and effect not in EFFECTS:
            problems.append(not_supported(f"{where}.effect", effect, EFFECTS))
    return problems


def _toleration_value(operator: str, value: str, path: str) -> list[FieldError]:
    if operator in ("", "Equal"):
        wrong = names.label_value(value)
        return [invalid(path, value, ";".join(wrong))] if wrong else []
    if operator != "Exists":
        return [not_supported(path, operator, OPERATORS)]
    return [invalid(path, value, "value must be empty when `operator` is 'Exists'")] if value else []


def scheduling_gates(gates: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        where, name = f"{path}[{index}]", gate.get("name") or ""
        problems += label_name(name, where)
        if name in seen:
            problems.append(duplicate(where, name))
        seen.add(name)
    return problems
