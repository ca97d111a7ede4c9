"""Every command of kubectl that needs no node, with each version that the course's users may have.

What is expected is what a cluster of upstream's prints. 1.20 lacks some flags, and says some things otherwise.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import kubectls
from kubectls import DEPLOYMENT

from .conftest import Cluster

Kubectl = Callable[..., str]


@pytest.fixture(params=kubectls.VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def discovered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where kubectl keeps what it has discovered, as at a user's: asking anew each time is most of a command's time."""
    return tmp_path_factory.mktemp("discovered")


@pytest.fixture
def fails(
    version: str, cluster: Cluster, namespace: str, tmp_path: Path, discovered: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `kubectl …` in the test's namespace, whatever comes of it."""
    program = kubectls.program(version)

    def run(line: str, *, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        common = ["--kubeconfig", str(cluster.kubeconfig), "--cache-dir", str(discovered / version)]
        command = [program, *common, "-n", namespace, *shlex.split(line)]
        env = {**os.environ, "HOME": str(tmp_path), **environment}
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, env=env, cwd=tmp_path)

    return run


@pytest.fixture
def kubectl(fails: Callable[..., subprocess.CompletedProcess[str]]) -> Kubectl:
    def run(line: str, **options: str) -> str:
        done = fails(line, **options)
        assert done.returncode == 0, f"kubectl {line}: {done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def web(kubectl: Kubectl) -> None:
    kubectl("create -f -", stdin=DEPLOYMENT)


def old(version: str) -> bool:
    return version == "1.20"


# -- create: every generator


@pytest.mark.parametrize(
    ("line", "said", "path", "value"),
    [
        (
            "deployment d --image=i --replicas=3 --port=80",
            "deployment.apps/d",
            "{.spec.replicas} {.spec.template.spec.containers[0].ports[0].containerPort}",
            "3 80",
        ),
        (
            "job j --image=i -- echo hi",
            "job.batch/j",
            "{.spec.template.spec.restartPolicy} {.spec.template.spec.containers[0].command}",
            'Never ["echo","hi"]',
        ),
        ("cronjob c --image=i --schedule='*/5 * * * *'", "cronjob.batch/c", "{.spec.schedule}", "*/5 * * * *"),
        ("configmap m --from-literal=a=b --from-file=f=key.txt --from-env-file=vars.env", None, "", ""),
        ("secret generic s --from-literal=a=b", "secret/s", "{.type} {.data.a}", "Opaque Yg=="),
        (
            "secret docker-registry r --docker-username=u --docker-password=p --docker-server=x",
            "secret/r",
            "{.type}",
            "kubernetes.io/dockerconfigjson",
        ),
        ("secret tls t --cert=tls.crt --key=tls.key", "secret/t", "{.type}", "kubernetes.io/tls"),
        (
            "service clusterip a --tcp=80:8080",
            "service/a",
            "{.spec.ports[0].name} {.spec.ports[0].targetPort}",
            "80-8080 8080",
        ),
        ("service clusterip h --clusterip=None", "service/h", "{.spec.clusterIP}", "None"),
        ("service nodeport n --tcp=80", "service/n", "{.spec.type}", "NodePort"),
        ("service loadbalancer l --tcp=80", "service/l", "{.spec.type}", "LoadBalancer"),
        ("service externalname e --external-name=example.com", "service/e", "{.spec.externalName}", "example.com"),
        ("serviceaccount robot", "serviceaccount/robot", "{.metadata.name}", "robot"),
        (
            "role reader --verb=get,list --resource=pods",
            "role.rbac.authorization.k8s.io/reader",
            "{.rules[0].verbs}",
            '["get","list"]',
        ),
        (
            "rolebinding b --role=reader --user=jane",
            "rolebinding.rbac.authorization.k8s.io/b",
            "{.subjects[0].name}",
            "jane",
        ),
        (
            "clusterrole NAMESPACE-reader --verb=get --resource=nodes",
            "clusterrole.rbac.authorization.k8s.io/NAMESPACE-reader",
            "{.rules[0].resources}",
            '["nodes"]',
        ),
        (
            "clusterrolebinding NAMESPACE-b --clusterrole=view --serviceaccount=default:robot",
            "clusterrolebinding.rbac.authorization.k8s.io/NAMESPACE-b",
            "{.subjects[0].kind} {.subjects[0].name}",
            "ServiceAccount robot",
        ),
        (
            "priorityclass NAMESPACE-high --value=1000 --description=first",
            "priorityclass.scheduling.k8s.io/NAMESPACE-high",
            "{.value} {.preemptionPolicy}",
            "1000 PreemptLowerPriority",
        ),
        (
            "poddisruptionbudget p --selector=app=web --min-available=50%",
            "poddisruptionbudget.policy/p",
            "{.spec.minAvailable} {.spec.selector.matchLabels.app}",
            "50% web",
        ),
        ("quota q --hard=pods=3", "resourcequota/q", "{.spec.hard.pods}", "3"),
    ],
)
def test_create(
    kubectl: Kubectl, version: str, namespace: str, tmp_path: Path, line: str, said: str | None, path: str, value: str
):
    line, said = line.replace("NAMESPACE", namespace), said and said.replace("NAMESPACE", namespace)
    (tmp_path / "key.txt").write_text("x")
    (tmp_path / "vars.env").write_text("A=1\n")
    if line.startswith("secret tls"):
        _certificate(tmp_path)
    if line.startswith("cronjob") and old(version):
        pytest.skip("1.20 makes CronJobs of batch/v1beta1, which Kubernetes 1.25 took away")
    if line.startswith("poddisruptionbudget") and old(version):
        pytest.skip("1.20 makes PodDisruptionBudgets of policy/v1beta1, which Kubernetes 1.25 took away")
    if said is None:
        line, said, path, value = (
            "configmap m --from-literal=a=b --from-file=f=key.txt",
            "configmap/m",
            "{.data.f}",
            "x",
        )
        assert kubectl("create configmap vars --from-env-file=vars.env -o jsonpath={.data.A}") == "1"
    assert kubectl(f"create {line}") == f"{said} created\n"
    assert kubectl(f"get {said} -o jsonpath='{path}'") == value
    if namespace in said:  # of the whole cluster
        kubectl(f"delete {said}")


def _certificate(folder: Path) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1 -keyout tls.key -out tls.crt"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


def test_create_from_another_object(kubectl: Kubectl, version: str):
    if old(version):
        pytest.skip("1.20 makes CronJobs of batch/v1beta1, which Kubernetes 1.25 took away")
    kubectl("create cronjob nightly --image=i --schedule='0 3 * * *' -- echo hi")
    assert kubectl("create job now --from=cronjob/nightly") == "job.batch/now created\n"
    owner = kubectl("get job now -o jsonpath='{.metadata.ownerReferences[0].kind} {.metadata.annotations}'")
    assert owner == 'CronJob {"cronjob.kubernetes.io/instantiate":"manual"}'
    assert kubectl("create token default").count(".") == 2


def test_create_namespace_and_what_is_there_already(kubectl: Kubectl, fails: Callable, version: str):
    name = f"kubelab-test-made-{version.replace('.', '-')}"
    assert kubectl(f"create namespace {name}") == f"namespace/{name} created\n"
    again = fails(f"create namespace {name}")
    assert (again.returncode, again.stderr) == (
        1,
        f'Error from server (AlreadyExists): namespaces "{name}" already exists\n',
    )
    assert kubectl(f"delete namespace {name} --wait=false") == f'namespace "{name}" deleted\n'


# -- get: every form of output


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_get_in_every_form(kubectl: Kubectl, web: None):
    heading = ("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE")
    *shown, age = kubectl("get deploy web").split()
    assert shown == [*heading, "web", "0/2", "0", "0"]
    assert re.fullmatch(r"\d+s", age)
    assert kubectl("get deploy web -o wide").splitlines()[0].split()[5:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert kubectl("get deploy -o name") == "deployment.apps/web\n"
    assert json.loads(kubectl("get deploy web -o json"))["spec"]["replicas"] == 2
    assert "replicas: 2\n" in kubectl("get deploy web -o yaml")
    assert kubectl("get deploy web -o jsonpath='{.spec.template.spec.containers[*].image}'") == "kubelab/shop:1"
    columns = kubectl("get deploy -o custom-columns=NAME:.metadata.name,WANTED:.spec.replicas")
    assert [line.split() for line in columns.splitlines()] == [["NAME", "WANTED"], ["web", "2"]]
    assert kubectl("get deploy -o go-template='{{range .items}}{{.metadata.name}}{{end}}'") == "web"
    assert kubectl("get deploy --no-headers --show-labels").split()[-1] == "app=web"
    assert kubectl("get deploy -L app").splitlines()[0].split()[-1] == "APP"
    assert kubectl("get deploy,svc -l app=web -o name") == "deployment.apps/web\n"
    assert kubectl("get deploy -l 'app in (x),app!=web' -o name") == ""
    assert kubectl("get deploy --field-selector metadata.name=web -o name") == "deployment.apps/web\n"
    assert kubectl("get ns --sort-by=.metadata.name -o name").startswith("namespace/default\n")
    assert "kube-system" in kubectl("get ns -A --no-headers")


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_get_in_pieces_and_with_managers(kubectl: Kubectl, version: str):
    for number in range(5):
        kubectl(f"create configmap c{number}")
    assert len(kubectl("get cm --chunk-size=2 -o name").splitlines()) == 5
    if not old(version):
        assert "managedFields" not in kubectl("get cm c0 -o yaml")
        kubectl("apply --server-side -f -", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c0}\ndata: {a: b}")
        assert "manager: kubectl\n" in kubectl("get cm c0 -o yaml --show-managed-fields")


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_get_what_is_not_there(kubectl: Kubectl, fails: Callable):
    missing = fails("get pod nonesuch")
    assert (missing.returncode, missing.stderr) == (1, 'Error from server (NotFound): pods "nonesuch" not found\n')
    unknown = fails("get widgets")
    assert unknown.stderr == 'error: the server doesn\'t have a resource type "widgets"\n'
    nothing = fails("get pods")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr.startswith("No resources found in test-")
    selector = fails("get pods --field-selector spec.x=1")
    assert "field label not supported: spec.x" in selector.stderr


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_get_watch(version: str, cluster: Cluster, namespace: str, kubectl: Kubectl):
    kubectl("create configmap first")
    command = [
        kubectls.program(version),
        "--kubeconfig",
        str(cluster.kubeconfig),
        "-n",
        namespace,
        "get",
        "cm",
        "-w",
        "-o",
        "name",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "configmap/first\n"
        kubectl("create configmap second")
        assert watching.stdout.readline() == "configmap/second\n"
        watching.kill()


# -- apply, diff, edit, patch, replace


def test_apply_on_the_client(kubectl: Kubectl, tmp_path: Path):
    (tmp_path / "d.yaml").write_text(DEPLOYMENT)
    assert kubectl("apply -f d.yaml") == "deployment.apps/web created\n"
    assert kubectl("apply -f d.yaml") == "deployment.apps/web unchanged\n"
    (tmp_path / "d.yaml").write_text(DEPLOYMENT.replace("replicas: 2", "replicas: 3"))
    assert kubectl("apply -f d.yaml --dry-run=server") == "deployment.apps/web configured (server dry run)\n"
    assert kubectl("apply -f d.yaml") == "deployment.apps/web configured\n"
    assert '"replicas":3' in kubectl("apply view-last-applied deploy/web -o json").replace(" ", "")


def test_apply_on_the_server(kubectl: Kubectl, fails: Callable, version: str, tmp_path: Path):
    (tmp_path / "d.yaml").write_text(DEPLOYMENT)
    assert kubectl("apply --server-side -f d.yaml") == "deployment.apps/web serverside-applied\n"
    (tmp_path / "d.yaml").write_text(DEPLOYMENT.replace("replicas: 2", "replicas: 3"))
    refused = fails("apply --server-side --field-manager=other -f d.yaml")
    assert refused.returncode == 1
    assert 'Apply failed with 1 conflict: conflict with "kubectl"' in refused.stderr
    assert ".spec.replicas" in refused.stderr
    kubectl("apply --server-side --field-manager=other --force-conflicts -f d.yaml")
    assert kubectl("get deploy web -o jsonpath={.spec.replicas}") == "3"


def test_apply_prunes(kubectl: Kubectl, version: str, tmp_path: Path):
    both = "\n---\n".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: mine}}}}" for name in ("a", "b")
    )
    kubectl("apply -l set=mine -f -", stdin=both)
    allowed = "--prune-whitelist" if old(version) else "--prune-allowlist"
    said = kubectl(f"apply --prune -l set=mine {allowed}=core/v1/ConfigMap -f -", stdin=both.partition("\n---\n")[0])
    assert said == "configmap/a unchanged\nconfigmap/b pruned\n"


def test_apply_kustomization(kubectl: Kubectl, tmp_path: Path):
    (tmp_path / "d.yaml").write_text(DEPLOYMENT)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [d.yaml]\nnamePrefix: my-\nconfigMapGenerator:\n- name: settings\n  literals: [a=b]\n"
    )
    said = kubectl("apply -k .")
    assert "deployment.apps/my-web created\n" in said
    assert "configmap/my-settings-" in said


def test_diff(kubectl: Kubectl, fails: Callable, tmp_path: Path):
    (tmp_path / "d.yaml").write_text(DEPLOYMENT)
    kubectl("apply -f d.yaml")
    assert kubectl("diff -f d.yaml") == ""
    (tmp_path / "d.yaml").write_text(DEPLOYMENT.replace("replicas: 2", "replicas: 3"))
    differs = fails("diff -f d.yaml")
    assert differs.returncode == 1
    assert "-  replicas: 2\n+  replicas: 3\n" in differs.stdout


def test_edit(kubectl: Kubectl, fails: Callable, web: None, tmp_path: Path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/replicas: 2/replicas: 4/" "$1"\n')
    editor.chmod(0o755)
    assert kubectl("edit deploy web", EDITOR=str(editor)) == "deployment.apps/web edited\n"
    assert kubectl("get deploy web -o jsonpath={.spec.replicas}") == "4"
    assert fails("edit deploy web", EDITOR="true").stderr == "Edit cancelled, no changes made.\n"


def test_patch_in_four_ways(kubectl: Kubectl, fails: Callable, web: None, version: str):
    image = "get deploy web -o jsonpath='{.spec.template.spec.containers[*].image}'"
    strategic = '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"two"}]}}}}'
    assert kubectl(f"patch deploy web -p '{strategic}'") == "deployment.apps/web patched\n"
    assert kubectl(image) == "two"
    assert kubectl(f"patch deploy web -p '{strategic}'") == "deployment.apps/web patched (no change)\n"
    kubectl('patch deploy web --type=merge -p \'{"metadata":{"labels":{"x":"y"}}}\'')
    replace = '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"three"}]'
    kubectl(f"patch deploy web --type=json -p '{replace}'")
    assert kubectl(image) == "three"
    if not old(version):
        kubectl('patch deploy web --subresource=scale --type=merge -p \'{"spec":{"replicas":7}}\'')
        assert kubectl("get deploy web --subresource=scale -o jsonpath={.spec.replicas}") == "7"
    wrong = fails('patch deploy web --type=json -p \'[{"op":"remove","path":"/spec/nothing"}]\'')
    assert wrong.stderr.startswith("The request is invalid")


def test_replace(kubectl: Kubectl, fails: Callable, web: None):
    assert kubectl("replace -f -", stdin=DEPLOYMENT.replace("shop:1", "shop:2")) == "deployment.apps/web replaced\n"
    said = kubectl("replace --force -f -", stdin=DEPLOYMENT)
    assert said == 'deployment.apps "web" deleted\ndeployment.apps/web replaced\n' or "from" in said
    missing = fails("replace -f -", stdin=DEPLOYMENT.replace("name: web, labels", "name: other, labels"))
    assert missing.stderr.startswith(
        'Error from server (NotFound): error when replacing "STDIN": deployments.apps "other" not found'
    )


def test_mistakes(fails: Callable, version: str):
    wrong = fails("apply -f -", stdin=DEPLOYMENT.replace("containers:", "contaners:"))
    assert wrong.returncode == 1
    if old(version):
        assert 'unknown field "contaners" in io.k8s.api.core.v1.PodSpec' in wrong.stderr
    else:
        assert 'strict decoding error: unknown field "spec.template.spec.contaners"' in wrong.stderr
    invalid = fails("create -f -", stdin=DEPLOYMENT.replace("matchLabels: {app: web}", "matchLabels: {app: db}"))
    assert invalid.stderr == (
        'The Deployment "web" is invalid: spec.template.metadata.labels: Invalid value: map[string]string{"app":"web"}:'
        " `selector` does not match template `labels`\n"
    )
    two = fails(
        "create -f -", stdin=DEPLOYMENT.replace("matchLabels: {app: web}", "").replace('"kubelab/shop:1"', '""')
    )
    assert two.stderr.splitlines() == [
        'The Deployment "web" is invalid: ',
        "* spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:"
        "[]v1.LabelSelectorRequirement(nil)}: empty selector is invalid for deployment",
        "* spec.template.spec.containers[0].image: Required value",
    ]
    autoscaled = fails("autoscale deployment web --max=3")
    assert autoscaled.returncode == 1


# -- set, label, annotate, scale, expose, run


def test_set(kubectl: Kubectl, web: None):
    assert kubectl("set image deploy/web web=two") == "deployment.apps/web image updated\n"
    assert kubectl("set env deploy/web A=1") == "deployment.apps/web env updated\n"
    assert kubectl("set env deploy/web --list") == "# Deployment web, container web\nA=1\n"
    assert (
        kubectl("set resources deploy/web --limits=cpu=1 --requests=memory=64Mi")
        == "deployment.apps/web resource requirements updated\n"
    )
    kubectl("create serviceaccount robot")
    assert kubectl("set serviceaccount deploy/web robot") == "deployment.apps/web serviceaccount updated\n"
    kubectl("create service clusterip web --tcp=80")
    assert kubectl("set selector svc/web x=y") == "service/web selector updated\n"
    kubectl("create rolebinding b --clusterrole=view --user=a")
    assert kubectl("set subject rolebinding/b --user=b") == "rolebinding.rbac.authorization.k8s.io/b subjects updated\n"
    spec = json.loads(kubectl("get deploy web -o json"))["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "robot"
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1"}, "requests": {"memory": "64Mi"}}


def test_label_annotate_and_scale(kubectl: Kubectl, fails: Callable, web: None):
    assert kubectl("label deploy web tier=front") in ("deployment.apps/web labeled\n",)
    assert fails("label deploy web tier=back").stderr.startswith(
        "error: 'tier' already has a value (front), and --overwrite is false"
    )
    assert kubectl("label deploy web tier=back --overwrite") == "deployment.apps/web labeled\n"
    assert kubectl("label deploy web tier-") in ("deployment.apps/web labeled\n", "deployment.apps/web unlabeled\n")
    assert kubectl("annotate deploy --all note=x") == "deployment.apps/web annotated\n"
    assert kubectl("scale deploy web --replicas=5 --current-replicas=2") == "deployment.apps/web scaled\n"
    refused = fails("scale deploy web --replicas=5 --current-replicas=2")
    assert refused.stderr == "error: Expected replicas to be 2, was 5\n"


def test_expose_and_run(kubectl: Kubectl, web: None, version: str):
    assert kubectl("expose deploy web --port=80 --target-port=8080") == "service/web exposed\n"
    assert kubectl("get svc web -o jsonpath='{.spec.selector} {.spec.ports[0].targetPort}'") == '{"app":"web"} 8080'
    assert (
        kubectl("run one --image=i --restart=Never --labels=a=b --env=A=1 --port=80 -- sleep 1") == "pod/one created\n"
    )
    pod = json.loads(kubectl("get pod one -o json"))["spec"]
    assert (pod["restartPolicy"], pod["containers"][0]["args"]) == ("Never", ["sleep", "1"])
    assert kubectl("expose pod one --port=80 --name=one") == "service/one exposed\n"
    assert "kind: Pod" in kubectl("run two --image=i --dry-run=client -o yaml")


# -- rollout, without controllers: what is read and written


def test_rollout(kubectl: Kubectl, fails: Callable, web: None):
    assert kubectl("rollout pause deploy/web") == "deployment.apps/web paused\n"
    assert fails("rollout pause deploy/web").stderr.startswith('error: deployments.apps "web" is already paused')
    assert kubectl("rollout resume deploy/web") == "deployment.apps/web resumed\n"
    assert kubectl("rollout restart deploy/web") == "deployment.apps/web restarted\n"
    assert "kubectl.kubernetes.io/restartedAt" in kubectl(
        "get deploy web -o jsonpath={.spec.template.metadata.annotations}"
    )
    assert fails("rollout status deploy/web --timeout=1s").returncode == 1


# -- wait, delete


def test_wait(kubectl: Kubectl, fails: Callable, web: None, version: str):
    late = fails("wait --for=condition=Available deploy/web --timeout=1s")
    assert late.stderr == "error: timed out waiting for the condition on deployments/web\n"
    assert kubectl("delete deploy web --wait=false").startswith('deployment.apps "web" deleted')
    gone = fails("wait --for=delete deploy/web --timeout=5s")
    assert gone.returncode == 0 or (old(version) and gone.stderr == "error: no matching resources found\n")
    if not old(version):
        kubectl("create configmap c --from-literal=a=b")
        assert kubectl("wait --for=jsonpath='{.data.a}'=b cm/c --timeout=5s") == "configmap/c condition met\n"
        assert kubectl("wait --for=create cm/c --timeout=5s") == "configmap/c condition met\n"


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_delete(kubectl: Kubectl, fails: Callable, web: None):
    for name in ("a", "b", "c"):
        kubectl(f"create configmap {name}")
        kubectl(f"label cm {name} set=mine")
    assert kubectl("delete cm a").startswith('configmap "a" deleted')
    assert len(kubectl("delete cm -l set=mine").splitlines()) == 2
    assert kubectl("delete cm gone --ignore-not-found") == ""
    assert fails("delete cm gone").stderr == 'Error from server (NotFound): configmaps "gone" not found\n'
    kubectl("run p --image=i")
    forced = fails("delete pod p --force --grace-period=0")
    assert forced.stdout.startswith('pod "p" force deleted')
    assert (
        "Immediate deletion does not wait for confirmation that the running resource has been terminated"
        in forced.stderr
    )
    assert kubectl("delete deploy web --cascade=orphan --wait=false").startswith('deployment.apps "web" deleted')
    assert kubectl("get deploy web -o jsonpath={.metadata.finalizers}") == '["orphan"]'


# -- nodes


@pytest.mark.embedded("nodes are the cluster's own, and not to be touched")
def test_cordon_taint_and_drain(kubectl: Kubectl, fails: Callable, cluster: Cluster, version: str):
    name = f"node-{version.replace('.', '-')}"
    kubectl("create -f -", stdin=f"apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}")
    try:
        assert kubectl(f"cordon {name}") == f"node/{name} cordoned\n"
        assert kubectl(f"cordon {name}") == f"node/{name} already cordoned\n"
        assert kubectl(f"get node {name} --no-headers").split()[1] in (
            "Unknown,SchedulingDisabled",
            "NotReady,SchedulingDisabled",
        )
        assert kubectl(f"uncordon {name}") == f"node/{name} uncordoned\n"
        assert kubectl(f"taint node {name} a=b:NoSchedule") == f"node/{name} tainted\n"
        assert fails(f"taint node {name} a=b:NoSchedule").returncode == 1
        assert kubectl(f"taint node {name} a-") == f"node/{name} untainted\n"
        assert kubectl(f"label node {name} disk=ssd") == f"node/{name} labeled\n"
        assert f"node/{name} drained\n" in kubectl(f"drain {name} --ignore-daemonsets --force")
        assert "Unschedulable:      true\n" in kubectl(f"describe node {name}")
    finally:
        kubectl(f"delete node {name}")


# -- looking at the API


def test_explain(kubectl: Kubectl, fails: Callable, version: str):
    said = kubectl("explain pod.spec.containers.livenessProbe")
    assert "failureThreshold" in said
    assert "KIND:" in said
    assert "readinessGates" in kubectl("explain pod --recursive")
    assert "schedule" in kubectl("explain cronjob.spec --api-version=batch/v1")
    assert 'field "nothing" does not exist' in fails("explain pod.nothing").stderr


def test_discovery_and_versions(kubectl: Kubectl, version: str):
    listed = kubectl("api-resources --no-headers")
    assert all(name in listed for name in ("pods", "deployments", "cronjobs", "endpointslices"))
    assert "apps/v1\n" in kubectl("api-versions")
    verbs = kubectl("api-resources --namespaced=false -o name --verbs=list,watch")
    assert "nodes\n" in verbs
    assert "pods\n" not in verbs
    assert json.loads(kubectl("version -o json"))["serverVersion"]["minor"] == "33"
    assert "is running at" in kubectl("cluster-info")
    assert kubectl("get --raw /healthz") == "ok"
    assert "current-context: " in kubectl("config view")


def test_cluster_info_dump(kubectl: Kubectl, web: None, tmp_path: Path):
    kubectl("cluster-info dump --output-directory=dump")
    assert (tmp_path / "dump" / "nodes.json").exists()


def test_auth_can_i(kubectl: Kubectl, fails: Callable):
    assert kubectl("auth can-i create pods") == "yes\n"
    assert fails("auth can-i create pods --as=nobody").stdout.startswith("no")
    assert "Resources" in kubectl("auth can-i --list")


def test_proxy(version: str, cluster: Cluster, namespace: str):
    command = [kubectls.program(version), "--kubeconfig", str(cluster.kubeconfig), "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            address = proxy.stdout.readline().strip().rpartition(" ")[2]
            import urllib.request

            with urllib.request.urlopen(f"http://{address}/api/v1/namespaces/{namespace}", timeout=10) as answer:
                assert json.loads(answer.read())["metadata"]["name"] == namespace
        finally:
            proxy.kill()


def test_events(kubectl: Kubectl, version: str, namespace: str):
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace, "apiVersion": "v1"},
        "reason": "Testing",
        "message": "all is well",
        "type": "Normal",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    kubectl("create -f -", stdin=json.dumps(event))
    assert kubectl("get events --no-headers").split()[1:] == ["Normal", "Testing", "pod/p", "all", "is", "well"]
    if not old(version):
        assert kubectl("events --for pod/p --no-headers").split()[1:] == [
            "Normal",
            "Testing",
            "Pod/p",
            "all",
            "is",
            "well",
        ]


# -- describe


def test_describe_a_pod_in_full(kubectl: Kubectl, version: str, namespace: str):
    pod = """
    apiVersion: v1
    kind: Pod
    metadata: {name: p, labels: {a: b}}
    spec:
      containers:
      - name: c
        image: i:1
        command: [sleep, "1"]
        ports: [{containerPort: 80}]
        env: [{name: A, value: "1"}]
        livenessProbe: {httpGet: {path: /x, port: 80}}
        resources: {limits: {memory: 64Mi}}
        volumeMounts: [{name: v, mountPath: /v}]
      volumes: [{name: v, emptyDir: {}}]
    """
    kubectl("create -f -", stdin=textwrap.dedent(pod))
    said = kubectl("describe pod p")
    for line in (
        *("Name:             p", f"Namespace:        {namespace}", "Priority:         0", "Service Account:  default"),
        *("Node:             <none>", "Labels:           a=b", "Annotations:      <none>", "Status:           Pending"),
        *("    Image:      i:1", "    Port:       80/TCP", "    Host Port:  0/TCP", "    Command:", "      sleep"),
        *("    Limits:", "      memory:  64Mi", "    Requests:", "    Environment:"),
        "    Liveness:  http-get http://:80/x delay=0s timeout=1s period=10s #success=1 #failure=3",
        *("      A:  1", "    Mounts:", "      /v from v (rw)", "QoS Class:                   Burstable"),
        "    Type:       EmptyDir (a temporary directory that shares a pod's lifetime)",
        "Tolerations:                 node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
        "                             node.kubernetes.io/unreachable:NoExecute op=Exists for 300s",
    ):
        if "Service Account" not in line or not old(version):
            assert _plain(line) in _plain(said), line


def _plain(text: str) -> str:
    """Without the widths of columns, which differ by version."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


@pytest.mark.parametrize(
    "kind", ["deploy/web", "ns/default", "svc/kubernetes", "sa/default", "clusterrole/view", "cm/kube-root-ca.crt"]
)
def test_describe_each_kind(kubectl: Kubectl, web: None, kind: str, fails: Callable):
    name = kind.partition("/")[2]
    done = fails(f"describe {kind}" + (" -n default" if kind == "svc/kubernetes" else ""))
    if done.returncode:
        assert "not found" in done.stderr  # there are no controllers that make it
        return
    assert done.stdout.startswith("Name:")
    assert name in done.stdout.splitlines()[0]
