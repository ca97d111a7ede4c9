"""Registries: pull and push by the distribution protocol, which Docker Hub and every registry speak.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md. `client.py` is one repository over HTTP,
`auth.py` its tokens, `errors.py` what goes wrong, `retry.py` trying again;
`manifests.py` what images are described by; `pull.py` and `push.py` move an image and tell how far they are. `server/`
is a registry of the lab's own.
"""

from kubelab.images.registry.client import Registry
from kubelab.images.registry.errors import RegistryError
from kubelab.images.registry.pull import pull
from kubelab.images.registry.push import push

__all__ = ["Registry", "RegistryError", "pull", "push"]
