"""Syntax of names, labels and addresses: each function returns what is wrong, in upstream's words; [] is fine.

Upstream: staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go.
"""

from __future__ import annotations

import ipaddress
import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_UNDERSCORED = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

Problems = list[str]


def _regex(message: str, pattern: str, *examples: str) -> str:
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def _max_length(limit: int) -> str:
    return f"must be no more than {limit} characters"


def dns1123_label(value: str) -> Problems:
    problems = [_max_length(63)] if len(value) > 63 else []
    if not re.fullmatch(_LABEL, value):
        words = (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and"
            " end with an alphanumeric character"
        )
        problems.append(_regex(words, _LABEL, "my-name", "123-abc"))
    return problems


def dns1123_subdomain(value: str) -> Problems:
    problems = [_max_length(253)] if len(value) > 253 else []
    if not re.fullmatch(_SUBDOMAIN, value):
        words = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must"
            " start and end with an alphanumeric character"
        )
        problems.append(_regex(words, _SUBDOMAIN, "example.com"))
    return problems


def dns1123_subdomain_underscore(value: str) -> Problems:
    """A search domain, which may have underscores (IsDNS1123SubdomainWithUnderscore)."""
    problems = [_max_length(253)] if len(value) > 253 else []
    if not re.fullmatch(_UNDERSCORED, value):
        words = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.', and"
            " must start and end with an alphanumeric character"
        )
        problems.append(_regex(words, _UNDERSCORED, "example.com"))
    return problems


def dns1035_label(value: str) -> Problems:
    problems = [_max_length(63)] if len(value) > 63 else []
    if not re.fullmatch(_DNS_1035, value):
        words = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic"
            " character, and end with an alphanumeric character"
        )
        problems.append(_regex(words, _DNS_1035, "my-name", "abc-123"))
    return problems


def qualified_name(value: str) -> Problems:
    """A label's or annotation's key: `app`, `kubernetes.io/metadata.name`."""
    prefix, slash, name = value.rpartition("/")
    words = (
        "must consist of alphanumeric characters, '-', '_' or '.',"
        " and must start and end with an alphanumeric character"
    )
    if value.count("/") > 1:
        hint = _regex("a qualified name " + words, _QUALIFIED, "MyName", "my.name", "123-abc")
        return [hint + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    problems: Problems = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        problems += [f"prefix part {problem}" for problem in dns1123_subdomain(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part " + _max_length(63))
    if not re.fullmatch(_QUALIFIED, name):
        problems.append("name part " + _regex(words, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return problems


def label_value(value: str) -> Problems:
    problems = [_max_length(63)] if len(value) > 63 else []
    if not re.fullmatch(f"({_QUALIFIED})?", value):
        words = (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must"
            " start and end with an alphanumeric character"
        )
        problems.append(_regex(words, f"({_QUALIFIED})?", "MyValue", "my_value", "12345"))
    return problems


def env_name(value: str) -> Problems:
    """An environment variable's name: any printable ASCII but '=' (RelaxedEnvironmentVariableValidation)."""
    if value and all(" " <= letter <= "~" and letter != "=" for letter in value):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def config_key(value: str) -> Problems:
    """A key of a ConfigMap or Secret."""
    problems = [_max_length(253)] if len(value) > 253 else []
    if not re.fullmatch(_CONFIG_KEY, value):
        words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        problems.append(_regex(words, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    elif value in (".", ".."):
        problems.append(f"must not be '{value}'")
    elif value.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def port_number(value: int) -> Problems:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def port_name(value: str) -> Problems:
    """A container port's name: an IANA service name."""
    problems: Problems = []
    if len(value) > 15:
        problems.append("must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value and (value.startswith("-") or value.endswith("-")):
        problems.append("must not begin or end with a hyphen")
    return problems


def ip_address(value: str) -> Problems:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def cidr(value: str) -> Problems:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    return [] if "/" in value else ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def path_segment(value: str) -> Problems:
    """A name that is only asked to fit in a URL path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{letter}'" for letter in "/%" if letter in value]


def domain_prefixed_path(value: str) -> list[tuple[str, str]]:
    """`example.com/controller`. Upstream shows each problem with the part that has it (IsDomainPrefixedPath)."""
    host, _, path = value.partition("/")
    if not host or not path:
        return [(value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    problems = [(host, problem) for problem in dns1123_subdomain(host)]
    if not re.fullmatch(_HTTP_PATH, path):
        problems.append((path, _regex("Invalid path", _HTTP_PATH)))
    return problems
