"""Bringing an image from its registry into the lab's image store. What containerd's image service does upstream.

The messages are containerd's (core/remotes/docker, internal/cri/server/images/image_pull.go) as the kubelet passes them
on: the code of gRPC's answer first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubelab.images.reference import Reference
from kubelab.images.store import Image, ImageStore

if TYPE_CHECKING:
    from kubelab.images.registry.auth import Credentials
    from kubelab.images.registry.client import RegistryError

UNAUTHORIZED = ("UNAUTHORIZED", "DENIED")
NOT_FOUND = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN")


class PullError(Exception):
    """The image did not come; the message is the runtime's."""


class ImagePuller:
    def __init__(self, store: ImageStore) -> None:
        self._store = store

    async def pull(self, reference: Reference, credentials: Sequence[Credentials]) -> Image:
        """Try each of `credentials` (or none) until one is let in. PullError with the last failure."""
        from kubelab.images.registry.auth import Credentials  # what only a pull needs is loaded by the first one
        from kubelab.images.registry.client import RegistryError

        failure: Exception | None = None
        for each in credentials or [Credentials()]:
            try:
                return await self._pull(reference, each)
            except RegistryError as error:
                failure = error
                if error.code not in UNAUTHORIZED:
                    break
            except (ValueError, OSError) as error:  # no valid manifest, an unsafe archive, a full disk
                failure = error
                break
        assert failure is not None
        raise PullError(_describe(reference, failure)) from failure

    async def _pull(self, reference: Reference, credentials: Credentials) -> Image:
        from kubelab.images.registry.client import Registry
        from kubelab.images.registry.manifests import Platform
        from kubelab.images.registry.pull import pull

        async with Registry(reference, credentials) as registry:
            pulled = await pull(self._store, registry, reference, Platform.here())
        return await asyncio.to_thread(self._store.get_image, pulled.image_id)


def canonical(reference: Reference) -> str:
    """`docker.io/library/foo:latest`, as containerd writes a name."""
    whole = reference.tagged()
    tag, digest = whole.tag and f":{whole.tag}", whole.digest and f"@{whole.digest}"
    return f"{whole.domain}/{whole.path}{tag}{digest}"


def _describe(reference: Reference, failure: Exception) -> str:
    name = canonical(reference)
    code, said = "Unknown", str(failure)
    error: RegistryError | None = failure if hasattr(failure, "code") else None  # type: ignore[assignment]
    if error is not None and error.code in UNAUTHORIZED:
        said = f"pull access denied, repository does not exist or may require authorization: {said}"
    elif error is not None and (error.code in NOT_FOUND or error.status == 404):
        code, said = "NotFound", f"{name}: not found"
    elif said.startswith(('Get "', 'Head "')):
        said = f"failed to do request: {said}"
    doing = f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": '
    return f"rpc error: code = {code} desc = {doing}{said}"
