"""Write src/kubelab/cluster/apiserver/protobuf-v1.json.gz: the field numbers of the messages that kubectl sends.

kubectl's own binary is the source: Go programs carry the descriptors of their protobuf messages, gzipped. Run
`python tools/vendor_protobuf.py /usr/bin/kubectl` after a kind was added. Field numbers never change, so any recent
kubectl gives the same result. Upstream's text form: staging/src/k8s.io/api/core/v1/generated.proto and its siblings.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubelab.cluster.apiserver.protobuf import fields
from kubelab.cluster.resources import SERVED

TARGET = Path(__file__).parents[1] / "src/kubelab/cluster/apiserver/protobuf-v1.json.gz"
GZIP = b"\x1f\x8b\x08"
REPEATED, MESSAGE = 3, 11  # FieldDescriptorProto.Label and .Type
SCALARS = {1: "double", 3: "varint", 4: "varint", 5: "varint", 8: "bool", 9: "string", 12: "bytes"}
JSON_NAMES = {"uID": "uid"}  # where the message has another name for a field than JSON
API, META = "k8s.io.api.", "k8s.io.apimachinery.pkg.apis.meta.v1."
PACKAGES = {
    "": "core",
    "apps": "apps",
    "authentication.k8s.io": "authentication",
    "authorization.k8s.io": "authorization",
    "autoscaling": "autoscaling",
    "batch": "batch",
    "coordination.k8s.io": "coordination",
    "discovery.k8s.io": "discovery",
    "events.k8s.io": "events",
    "policy": "policy",
    "rbac.authorization.k8s.io": "rbac",
    "scheduling.k8s.io": "scheduling",
}
EXTRA_ROOTS = (
    META + "DeleteOptions",
    API + "authentication.v1.TokenRequest",
    API + "autoscaling.v1.Scale",
    API + "core.v1.Binding",
    API + "policy.v1.Eviction",
)


def descriptors(binary: bytes) -> Iterator[bytes]:
    """Every gzipped block of the program that unpacks; most of them are FileDescriptorProtos."""
    at = binary.find(GZIP)
    while at != -1:
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj(31).decompress(binary[at : at + 1_000_000])
        at = binary.find(GZIP, at + 1)


def messages(descriptor: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """(full name, {field number: [name, type, repeated]}) of a FileDescriptorProto's messages and their map entries."""
    parts = list(fields(descriptor))
    package = next((value.decode() for number, value in parts if number == 2 and isinstance(value, bytes)), "")
    for number, value in parts:
        if number == 4 and isinstance(value, bytes):
            yield from _message(package, value)


def _message(scope: str, raw: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    parts = list(fields(raw))
    name = scope + "." + next(value.decode() for number, value in parts if number == 1)
    yield name, dict(_field(value) for number, value in parts if number == 2)
    for number, value in parts:
        if number == 3:
            yield from _message(name, value)


def _field(raw: bytes) -> tuple[str, list[Any]]:
    parts = dict(fields(raw))
    name = parts[1].decode()
    kind = parts[6].decode().lstrip(".") if parts[5] == MESSAGE else SCALARS[parts[5]]
    return str(parts[3]), [JSON_NAMES.get(name, name), kind, parts.get(4) == REPEATED]


def vendored(binary: bytes) -> dict[str, Any]:
    """The messages that the served kinds reach."""
    known: dict[str, Any] = {}
    for block in descriptors(binary):
        if b"k8s.io" in block[:200]:
            known.update(messages(block))
    todo = [f"{API}{PACKAGES[r.group]}.{r.version}.{r.kind}" for r in SERVED] + list(EXTRA_ROOTS)
    result: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name not in result:
            result[name] = known[name]
            todo += [kind for _, kind, _ in known[name].values() if kind.startswith("k8s.io.")]
    return dict(sorted(result.items()))


def main() -> None:
    text = json.dumps(vendored(Path(sys.argv[1]).read_bytes()), separators=(",", ":"), sort_keys=True).encode()
    TARGET.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{TARGET}: {len(text)} bytes, {TARGET.stat().st_size} compressed")


if __name__ == "__main__":
    main()
