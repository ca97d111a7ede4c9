"""Objects that the tests create, in their shortest form."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def template(app: str, **spec: Any) -> Object:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "kubelab/python"}], **spec},
    }


def pod(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
        "spec": {"containers": [{"name": "c", "image": "kubelab/python"}], **spec},
    }


def requests(**amounts: str) -> list[Object]:
    """One container that asks for `amounts`."""
    return [{"name": "c", "image": "kubelab/python", "resources": {"requests": amounts}}]


def replica_set(name: str, replicas: int, **spec: Any) -> Object:
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": selector, "template": template(name), **spec},
    }


def replication_controller(name: str, replicas: int, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"app": name}, "template": template(name), **spec},
    }


def deployment(name: str, replicas: int, **spec: Any) -> Object:
    return {**replica_set(name, replicas, **spec), "kind": "Deployment"}


def service(name: str, app: str, **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": app}, "ports": ports, **spec},
    }


def daemon_set(name: str, **spec: Any) -> Object:
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": selector, "template": template(name), **spec},
    }


def job(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template(name, restartPolicy="Never"), **spec},
    }


def cron_job(name: str, schedule: str, **spec: Any) -> Object:
    run = {"metadata": {"labels": {"app": name}}, "spec": {"template": template(name, restartPolicy="Never")}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": run, **spec},
    }
