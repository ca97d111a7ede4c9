"""Registries: pull and push by the distribution protocol, which Docker Hub and every registry speak.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md. `client.py` is one repository over HTTP,
`auth.py` its tokens, `manifests.py` what images are described by; `pull.py` and `push.py` move an image and tell how
far they are.
"""

from kubelab.images.registry.client import Registry, RegistryError
from kubelab.images.registry.pull import pull
from kubelab.images.registry.push import push

__all__ = ["Registry", "RegistryError", "pull", "push"]
