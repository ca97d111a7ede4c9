"""The image a container is made from: there already, or pulled, or why not.

Upstream: pkg/kubelet/images/image_manager.go, whose events and reasons these are. The lab's image store, which
`docker build` and `docker load` fill, plays the registry: a pull succeeds when the store has the image.
"""

from __future__ import annotations

from collections.abc import Callable

from kubelab.clock import Clock
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.backoff import Backoff
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.images.reference import InvalidReference, parse
from kubelab.images.store import Image, ImageNotFound, ImageStore

Tell = Callable[[str, str, str], None]  # type, reason, message of an event about the container


class ImageManager:
    def __init__(self, store: ImageStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._backoff = Backoff(clock)
        self._errors: dict[str, str] = {}

    def ensure(self, pod: Pod, container: Container, tell: Tell) -> Image:
        """The image; StartError with the reason that the container waits for where it cannot be had."""
        name = container["image"]
        try:
            parse(name)
        except InvalidReference as error:
            message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {error}'
            tell("Warning", "InspectFailed", message)
            raise StartError("InvalidImageName", message) from error
        policy = container.get("imagePullPolicy", "IfNotPresent")
        if policy == "Always":
            return self._pull(pod, name, tell)
        try:
            image = self._store.resolve(name)
        except ImageNotFound:
            if policy == "Never":
                message = f'Container image "{name}" is not present with pull policy of Never'
                tell("Warning", "ErrImageNeverPull", message)
                raise StartError("ErrImageNeverPull", message) from None
            return self._pull(pod, name, tell)
        tell("Normal", "Pulled", f'Container image "{name}" already present on machine')
        return image

    def _pull(self, pod: Pod, name: str, tell: Tell) -> Image:
        key = f"{podutil.uid(pod)}_{name}"
        now = self._clock.now()
        if remaining := self._backoff.remaining(key, now):
            message = f'Back-off pulling image "{name}"'
            tell("Normal", "BackOff", message)
            raise StartError("ImagePullBackOff", f"{message}: {self._errors[key]}", remaining)
        tell("Normal", "Pulling", f'Pulling image "{name}"')
        try:
            image = self._store.resolve(name)
        except ImageNotFound:
            error = f"{name}: not found: the lab's image store stands in for a registry, so build or load it first"
            tell("Warning", "Failed", f'Failed to pull image "{name}": {error}')
            self._backoff.next(key, now)
            self._errors[key] = f"ErrImagePull: {error}"
            raise StartError("ErrImagePull", error, self._backoff.get(key)) from None
        took = f"{int((self._clock.now() - now).total_seconds() * 1000)}ms"
        tell(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{name}" in {took} ({took} including waiting). Image size: {image.size} bytes.',
        )
        return image

    def forget(self, pod_uid: str) -> None:
        self._backoff.forget(f"{pod_uid}_")
        for key in [k for k in self._errors if k.startswith(f"{pod_uid}_")]:
            del self._errors[key]
