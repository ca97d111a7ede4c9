"""The lab's own registry, on the loopback: what `docker push localhost:PORT/…` writes and every engine here can pull.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md. `app.py` the routes, of `blobs.py`, `uploads.py`
and `manifests.py`; `storage.py` what is kept, `lab_images.py` the engine's images as a registry shows them; `peers.py`
who may speak to it; `errors.py` the spec's codes.
"""

from kubelab.images.registry.server.app import RegistryServer

__all__ = ["RegistryServer"]
