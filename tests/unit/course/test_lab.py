"""The small parts of a lab that need no cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubernetes.client.rest import ApiException

from kubelab.course import api, engines, look_inside, manifest
from kubelab.course.errors import LabError
from kubelab.course.faults import FAULTS
from kubelab.course.start import course_folder
from kubelab.home import Home

from .cluster_double import ClusterDouble

MANIFESTS = Path(__file__).parents[3] / "manifests"


def test_the_path_to_a_pod_or_service_through_the_api_server():
    assert api.proxy_path("lab", "pod/web", "/a?b=1") == "/api/v1/namespaces/lab/pods/web/proxy/a?b=1"
    assert api.proxy_path("lab", "service/shop:http", "") == "/api/v1/namespaces/lab/services/shop:http/proxy/"
    for wrong in ("web", "node/x", "pod/"):
        with pytest.raises(ValueError, match="neither"):
            api.proxy_path("lab", wrong, "/")


def test_a_request_goes_through_the_clients_pool(cluster: ClusterDouble):
    answer = api.request(cluster.api(), "POST", api.proxy_path("lab", "pod/web", "fault/crash"), {"x": 1})
    assert answer.ok and answer.json() == {"fault": "taken"}
    assert cluster.proxied == [("POST", "fault/crash")]


def test_a_request_to_an_api_that_is_away_names_the_next_step(cluster: ClusterDouble):
    client = cluster.api()
    cluster.stop()
    with pytest.raises(LabError, match="kubelab doctor"):
        api.request(client, "GET", "/readyz")


def test_every_fault_has_both_twins():
    for fault in FAULTS.values():
        assert "web" in fault.python("web") and fault.kubectl("lab", "web").startswith("kubectl")
    assert FAULTS["crash"].python("p", "payments") == 'lab.request("pod/p", "fault/payments/crash", method="POST")'
    assert "/namespaces/lab/pods/p/proxy/fault/deadlock'" in FAULTS["deadlock"].kubectl("lab", "p")


def test_manifests_are_read_from_files_text_and_dicts():
    folder = MANIFESTS / "03_pods"
    assert [found["metadata"]["name"] for found in manifest.read("web.yaml", folder)] == ["web"]
    assert manifest.read("kind: Pod\nmetadata: {name: x}\n", folder)[0]["metadata"]["name"] == "x"
    assert manifest.read({"kind": "Pod"}, folder) == [{"kind": "Pod"}]
    with pytest.raises(LabError, match=r"web\.yaml"):
        manifest.read("wbe.yaml", folder)


def test_the_api_servers_own_words_are_passed_on():
    error = ApiException(status=422, reason="Unprocessable Entity")
    error.body = '{"message": "Pod \\"x\\" is invalid"}'
    assert manifest.message(error) == 'Pod "x" is invalid'
    error.body = "not found"
    assert manifest.message(error) == "422 Unprocessable Entity"


def test_the_embedded_engines_are_the_default_and_others_are_chosen_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("KUBELAB_HOME", str(tmp_path))
    monkeypatch.delenv("KUBELAB_CONTEXT", raising=False)
    monkeypatch.delenv("KUBELAB_DOCKER", raising=False)
    found = engines.find()
    assert found.embedded and found.kubeconfig == tmp_path / "kubeconfig" and not found.kind
    assert found.docker_address().url == f"unix://{tmp_path}/docker.sock"
    with pytest.raises(LabError, match="kubelab doctor"):
        found.api_client()
    monkeypatch.setenv("KUBELAB_CONTEXT", "kind-kind")
    assert engines.find() == engines.Engines(embedded=False, home=Home(tmp_path), context="kind-kind")
    assert engines.find().kind == "kind"


def test_the_course_folder_is_found_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert course_folder() == MANIFESTS.parent


def test_look_inside_shows_source_without_importing_it():
    shown = look_inside("course.source:look_inside")
    assert shown.text.startswith("def look_inside(") and shown.place == "src/kubelab/course/source.py: look_inside"
    assert look_inside("course.lab:Lab.docker").text.lstrip().startswith("@cached_property")
    assert look_inside("widgets.failure_panel:FailurePanel.press").text.lstrip().startswith("def press(")
    bundle = shown._repr_mimebundle_()
    assert bundle["text/plain"] == "src/kubelab/course/source.py: look_inside (run the cell to read it)"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    for wrong in ("course.nowhere", "course.lab:Lab.nothing"):
        with pytest.raises(LabError):
            look_inside(wrong)


def test_a_program_that_does_not_listen_yet_is_asked_again():
    refused = api.Answer(503, "dial tcp 10.244.1.2:8080: connect: connection refused", 0.0)
    answers = iter([refused, refused, api.Answer(202, "taken", 0.0)])
    assert api.listening(lambda: next(answers)).status == 202
    assert api.listening(lambda: api.Answer(503, "no endpoints available", 0.0)).status == 503
