"""What every pod is given to reach the API with, used as client libraries use it in a cluster."""

from __future__ import annotations

from kubelab.cluster.resources import ROLEBINDINGS

from .conftest import Bench, python

# Paths are relative for level process, where a container sees its files below its working directory.
ASK = """
import json, os, ssl, urllib.request
folder = "var/run/secrets/kubernetes.io/serviceaccount/"
namespace, token = open(folder + "namespace").read(), open(folder + "token").read()
server = "https://{KUBERNETES_SERVICE_HOST}:{KUBERNETES_SERVICE_PORT}".format(**os.environ)
request = urllib.request.Request(f"{server}/api/v1/namespaces/{namespace}/pods/p")
request.add_header("Authorization", "Bearer " + token)
trust = ssl.create_default_context(cafile=folder + "ca.crt")
pod = json.load(urllib.request.urlopen(request, context=trust))
print(pod["metadata"]["name"], pod["spec"]["serviceAccountName"])
"""


async def test_a_pod_asks_the_api_about_itself(bench: Bench) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": bench.namespace}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "reads"}}
    await bench.client.create(ROLEBINDINGS, {**binding, "roleRef": role, "subjects": [account]}, bench.namespace)
    await bench.create("p", python(ASK), restartPolicy="Never")
    assert await bench.output("p") == "p default\n"
