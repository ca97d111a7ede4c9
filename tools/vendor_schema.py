"""Write src/kubelab/cluster/apiserver/schema-v1.33.json.gz: the API's schema for the kinds that are served.

The source is the definitions file that the test dependency kubernetes-validate ships (upstream's
api/openapi-spec/swagger.json as JSON schema). What that conversion added (nullable types, `enum` on apiVersion and
kind) is taken out again. Run `python tools/vendor_schema.py` after a kind was added; a test holds the file up to date.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

from kubelab.cluster.resources import SERVED

VERSION = "v1.33"
TARGET = Path(__file__).parents[1] / f"src/kubelab/cluster/apiserver/schema-{VERSION}.json.gz"
PREFIX = "#/$defs/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
# What requests and answers carry beside the kinds of the table.
EXTRA_ROOTS = (
    "io.k8s.api.authentication.v1.TokenRequest",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.core.v1.Binding",
    "io.k8s.api.policy.v1.Eviction",
    META + "DeleteOptions",
    META + "Status",
)
INT_OR_STRING = {"type": "string", "format": "int-or-string"}
OVERRIDES = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string", "format": "quantity"},
}


def source() -> dict[str, Any]:
    """All definitions by name, as kubernetes-validate ships them."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise SystemExit("kubernetes-validate is not installed: pip install -e '.[test]'")
    folder = Path(spec.origin).parent / "kubernetes-json-schema" / f"{VERSION}.0-local"
    return json.loads((folder / "_definitions.json").read_text())["$defs"]


def trim(node: Any) -> Any:
    """The definition as upstream publishes it: `["string", "null"]` is "string", references point into the file."""
    if isinstance(node, list):
        return [trim(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: trim(value) for key, value in node.items() if key != "enum" or not isinstance(value, list)}
    if isinstance(node.get("type"), list):
        result["type"] = next(kind for kind in node["type"] if kind != "null")
    if isinstance(node.get("$ref"), str):
        result["$ref"] = node["$ref"].removeprefix(PREFIX)
    return result


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*map(references, node.values()))
    return found | {node["$ref"]} if isinstance(node.get("$ref"), str) else found


def vendored() -> dict[str, Any]:
    """{definition name: schema} of everything that the served kinds reach."""
    definitions = source()
    kinds = {(r.group, r.version, kind) for r in SERVED for kind in r.kinds}
    todo = [name for name, schema in definitions.items() if kinds & _gvks(schema)] + list(EXTRA_ROOTS)
    result: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name not in result:
            result[name] = OVERRIDES.get(name) or trim(definitions[name])
            todo += references(result[name])
    return dict(sorted(result.items()))


def _gvks(schema: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(g["group"], g["version"], g["kind"]) for g in schema.get("x-kubernetes-group-version-kind", ())}


def main() -> None:
    text = json.dumps(vendored(), separators=(",", ":"), sort_keys=True).encode()
    TARGET.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{TARGET}: {len(text)} bytes, {TARGET.stat().st_size} compressed")


if __name__ == "__main__":
    main()
