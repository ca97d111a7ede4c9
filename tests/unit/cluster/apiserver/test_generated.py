"""Files that are generated are what their generators make now."""

from __future__ import annotations

import gzip
import importlib.util
import json
from importlib import resources
from pathlib import Path

import pytest

from kubelab.cluster import coverage
from kubelab.cluster.apiserver import protobuf
from kubelab.cluster.apiserver.coverage import NOT_HONOURED, warnings
from kubelab.cluster.apiserver.schema import FILE, Type, types
from kubelab.cluster.resources import RESOURCES

ROOT = Path(__file__).parents[4]
PACKAGE = "kubelab.cluster.apiserver"


def tool(name: str):
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def vendored(name: str) -> dict:
    return json.loads(gzip.decompress(resources.files(PACKAGE).joinpath(name).read_bytes()))


def test_coverage_is_up_to_date():
    document = tool("write_coverage").document()
    assert (ROOT / "COVERAGE.md").read_text() == document, "run: python tools/write_coverage.py"


def test_the_schema_is_up_to_date():
    assert vendored(FILE) == tool("vendor_schema").vendored(), "run: python tools/vendor_schema.py"


def test_every_kind_has_field_numbers():
    known = vendored(protobuf.FILE)
    assert {protobuf.message_of(r.api_version, r.kind) for r in RESOURCES} <= set(known)


@pytest.mark.parametrize("kind", sorted(NOT_HONOURED))
def test_the_table_names_real_fields(kind: str):
    for path in NOT_HONOURED[kind]:
        found: Type | None = types().named(coverage.SPECS[kind])
        for part in path.split("."):
            found = found.element if found.form == "map" else found.fields[part.removesuffix("[]")]
            found = found.element if part.endswith("[]") else found


@pytest.mark.parametrize("command", coverage.KUBECTL)
def test_the_commands_that_are_named_are_tested(command: str):
    tests = [path.read_text() for path in (ROOT / "tests/engines").rglob("*.py")]
    words = command.split()
    forms = (command, '", "'.join(words))  # as a line, and as a list of arguments
    assert any(form in text for text in tests for form in (f'"{form}' for form in forms)), command


@pytest.mark.parametrize("name", sorted({n.partition(" ")[0] for names in coverage.PARAMETERS.values() for n in names}))
def test_the_parameters_that_are_named_are_read(name: str):
    sources = [path.read_text() for path in (ROOT / "src/kubelab/cluster/apiserver").glob("*.py")]
    assert any(f'"{name}"' in text for text in sources)


def test_warnings_name_the_place():
    spec = {
        "hostNetwork": True,
        "hostPID": False,
        "initContainers": [{"volumeMounts": [{"mountPropagation": "Bidirectional"}]}],
        "containers": [{}, {"securityContext": {"procMount": "Unmasked", "runAsUser": 1}}],
    }
    places = [text.partition(":")[0] for text in warnings("pod", spec, "spec.template.spec")]
    assert places == [
        "spec.template.spec.hostNetwork",
        "spec.template.spec.containers[1].securityContext.procMount",
        "spec.template.spec.initContainers[0].volumeMounts[0].mountPropagation",
    ]
