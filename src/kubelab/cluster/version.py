"""The version of Kubernetes whose API and behaviour the cluster follows."""

GIT_VERSION = "v1.33.0"
