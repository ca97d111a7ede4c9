"""From bytes to objects: types, nulls, unknown fields, base64, YAML and protobuf; and OpenAPI v2's encoding."""

from __future__ import annotations

import pytest

from kubelab.cluster.apiserver import body, openapi_v2, protobuf
from kubelab.cluster.apiserver.decode import DecodeError, Decoder
from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.metrics import schema as metrics
from kubelab.cluster.apiserver.schema import definitions, types

POD, SECRET = types().of_kind("v1", "Pod"), types().of_kind("v1", "Secret")
SLICE = types().of_kind("discovery.k8s.io/v1", "EndpointSlice")


def test_nulls_and_empty_lists_are_as_if_they_were_not_there():
    given = {
        "metadata": {"name": "p", "creationTimestamp": None, "labels": {}},
        "spec": {"containers": [{"name": "c", "args": [], "resources": {}}], "volumes": [{"emptyDir": {}}]},
        "status": {},
    }
    assert Decoder().decode(given, POD) == {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "resources": {}}], "volumes": [{"emptyDir": {}}]},
        "status": {},
    }


def test_a_required_list_may_be_empty():
    assert Decoder().decode({"endpoints": [], "ports": []}, SLICE) == {"endpoints": []}


def test_unknown_fields_have_a_path():
    decoder = Decoder()
    decoder.decode({"spec": {"foo": 1, "containers": [{}, {"bar": {"x": 1}}]}, "baz": None}, POD)
    assert decoder.unknown == ["spec.foo", "spec.containers[1].bar", "baz"]


def test_quantities_become_canonical():
    limits = {"cpu": 0.5, "memory": "1024Mi"}
    pod = Decoder().decode({"spec": {"containers": [{"resources": {"limits": limits}}]}}, POD)
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (POD, [], "json: cannot unmarshal array into Go value of type v1.Pod"),
        (POD, {"spec": {"containers": {}}}, "PodSpec.spec.containers of type []v1.Container"),
        (POD, {"spec": {"hostNetwork": "yes"}}, "json: cannot unmarshal string into Go struct field"),
        (POD, {"spec": {"priority": True}}, "json: cannot unmarshal bool into Go struct field PodSpec.spec.priority"),
        (POD, {"spec": {"priority": 1.5}}, "json: cannot unmarshal number 1.5 into Go struct field"),
        (SECRET, {"data": {"a": "b*c"}}, "illegal base64 data at input byte 1"),
        (POD, {"spec": {"containers": [{"resources": {"limits": {"cpu": "x"}}}]}}, "quantities must match the regular"),
    ],
)
def test_wrong_types_are_said_as_go_says_them(kind, given, message):
    with pytest.raises(DecodeError) as error:
        Decoder().decode(given, kind)
    assert message in str(error.value)


def test_yaml_is_read_and_dates_stay_text():
    assert body.parse(b"a: 2026-01-01\nb: [1, yes]", "application/yaml") == {"a": "2026-01-01", "b": [1, True]}


@pytest.mark.parametrize(
    ("data", "media", "code"),
    [(b"{", "application/json", 400), (b": :", "application/yaml", 400), (b"", "text/x", 415)],
)
def test_what_cannot_be_read(data: bytes, media: str, code: int):
    with pytest.raises(StatusError) as error:
        body.parse(data, media)
    assert error.value.code == code


def test_duplicate_keys_have_a_path():
    assert body.duplicates(b'{"a": {"b": 1, "b": 2}, "c": [{"d": 1, "d": 1}]}') == ["a.b", "c[0].d"]
    assert body.duplicates(b'{"a": 1}') == []


def test_protobuf_as_kubectl_sends_it():
    """`kubectl delete --grace-period=0 --cascade=background` in bytes: DeleteOptions in the envelope."""
    options = b"\x08\x00\x22\x0aBackground"
    envelope = b"\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions" + b"\x12" + bytes([len(options)]) + options
    assert protobuf.decode(b"k8s\0" + envelope) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Background",
    }


@pytest.mark.parametrize("data", [b"", b"{}", b"k8s\0\x0a\xff", b"k8s\0\x0a\x06\x0a\x02v1\x12\x00"])
def test_broken_protobuf_is_refused(data: bytes):
    with pytest.raises(StatusError) as error:
        body.parse(data, protobuf.MEDIA_TYPE)
    assert error.value.code == 400


def test_openapi_v2_holds_every_definition():
    document = dict(protobuf.fields(openapi_v2.document()))
    named = [dict(protobuf.fields(entry)) for number, entry in protobuf.fields(document[9]) if number == 1]
    schemas = [*definitions(), *metrics.definitions()]
    assert [entry[1].decode() for entry in named] == schemas and len(set(schemas)) == len(schemas)
    assert document[1] == b"2.0"
