"""The image a container is made from: there already, or pulled, or why not.

Upstream: pkg/kubelet/images/image_manager.go and puller.go, whose events, reasons and back-off these are; pulls go one
after another (serializeImagePulls).

An image that was built or loaded into the lab's store under a name without a registry's host (`shop:latest`) is nowhere
else: for `Always` it counts as pulled, where upstream would ask Docker Hub and fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kubelab.clock import Clock
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.backoff import Backoff
from kubelab.cluster.kubelet.image_puller import PullError, canonical
from kubelab.cluster.kubelet.keyring import credentials_for
from kubelab.cluster.kubelet.objects import ObjectSource
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.images.reference import DEFAULT_DOMAIN, InvalidReference, Reference, parse
from kubelab.images.store import Image, ImageNotFound, ImageStore

if TYPE_CHECKING:
    from kubelab.images.registry.auth import Credentials

LOOK_AGAIN_SECONDS = 1.0  # after a failed pull: upstream's PLEG relists as often, and wakes the pod's worker by it
Tell = Callable[[str, str, str], None]  # type, reason, message of an event about the container


class Puller(Protocol):
    async def pull(self, reference: Reference, credentials: Sequence[Credentials]) -> Image:
        """PullError where the image does not come."""


@dataclass(frozen=True)
class _Wish:
    """What is asked for: `name` is the pod's word for it, `tell` the way to its events."""

    pod: Pod
    name: str
    reference: Reference
    tell: Tell

    @property
    def key(self) -> str:
        return f"{podutil.uid(self.pod)}_{self.name}"


class ImageManager:
    def __init__(self, store: ImageStore, puller: Puller, objects: ObjectSource, clock: Clock) -> None:
        self._store, self._puller, self._objects, self._clock = store, puller, objects, clock
        self._backoff = Backoff(clock)
        self._errors: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()
        self._pulls: dict[str, set[asyncio.Future[Image]]] = {}  # pod UID -> pulls that run for it

    async def ensure(self, pod: Pod, container: Container, tell: Tell) -> Image:
        """The image; StartError with the reason that the container waits for where it cannot be had."""
        name = container["image"]
        try:
            wish = _Wish(pod, name, parse(name), tell)
        except InvalidReference as error:
            message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {error}'
            tell("Warning", "InspectFailed", message)
            raise StartError("InvalidImageName", message) from error
        present, policy = self._find(name), container.get("imagePullPolicy", "IfNotPresent")
        if policy == "Always" or (policy == "IfNotPresent" and present is None):
            return await self._pull(wish, present)
        if present is None:
            message = f'Container image "{name}" is not present with pull policy of Never'
            tell("Warning", "ErrImageNeverPull", message)
            raise StartError("ErrImageNeverPull", message)
        tell("Normal", "Pulled", f'Container image "{name}" already present on machine')
        return present

    def _find(self, name: str) -> Image | None:
        try:
            return self._store.resolve(name)
        except ImageNotFound:
            return None

    async def _pull(self, wish: _Wish, present: Image | None) -> Image:
        self._back_off(wish)
        wish.tell("Normal", "Pulling", f'Pulling image "{wish.name}"')
        asked = self._clock.now()
        try:
            image, seconds = await self._pull_in_turn(wish, present)
        except PullError as error:
            wish.tell("Warning", "Failed", f'Failed to pull image "{wish.name}": {error}')
            self._backoff.next(wish.key, self._clock.now())
            self._errors[wish.key] = f"ErrImagePull: {error}"
            raise StartError(
                "ErrImagePull", str(error), min(LOOK_AGAIN_SECONDS, self._backoff.get(wish.key))
            ) from error
        whole = (self._clock.now() - asked).total_seconds()
        took = f"{_duration(seconds)} ({_duration(whole)} including waiting)"
        message = f'Successfully pulled image "{wish.name}" in {took}. Image size: {image.size} bytes.'
        wish.tell("Normal", "Pulled", message)
        return image

    def _back_off(self, wish: _Wish) -> None:
        if remaining := self._backoff.remaining_since_update(wish.key):
            message = f'Back-off pulling image "{wish.name}"'
            wish.tell("Normal", "BackOff", message)
            raise StartError("ImagePullBackOff", f"{message}: {self._errors[wish.key]}", remaining)

    async def _pull_in_turn(self, wish: _Wish, present: Image | None) -> tuple[Image, float]:
        """The image, and how long it took in seconds without the wait for other pulls."""
        secrets = await self._secrets(wish)
        async with self._one_at_a_time:
            began = self._clock.monotonic()
            if present is not None and self._is_own(wish.reference, present):
                return present, 0.0
            credentials = credentials_for(wish.reference, secrets)
            image = await self._abortable(wish.pod, self._puller.pull(wish.reference, credentials))
            return image, self._clock.monotonic() - began

    def _is_own(self, reference: Reference, image: Image) -> bool:
        """Whether the image was made here, under a name that means no registry."""
        pulled = (parse(digest) for digest in self._store.digests(image.id))
        same = any(each.path == reference.path and each.domain == reference.domain for each in pulled)
        return reference.domain == DEFAULT_DOMAIN and not same

    async def _secrets(self, wish: _Wish) -> list[dict[str, Any]]:
        found, missing = [], []
        for reference in wish.pod["spec"].get("imagePullSecrets") or []:
            name = reference.get("name", "")
            secret = await self._objects.get("secret", podutil.namespace(wish.pod), name) if name else None
            found += [secret] if secret else []
            missing += [] if secret else [name]
        if missing:
            message = f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
            message += "attempting to pull the image may not succeed."
            wish.tell("Warning", "FailedToRetrieveImagePullSecret", message)
        return found

    async def _abortable(self, pod: Pod, pulling: Any) -> Image:
        running = asyncio.ensure_future(pulling)
        pulls = self._pulls.setdefault(podutil.uid(pod), set())
        pulls.add(running)
        try:
            await asyncio.wait({running})
            if running.cancelled():
                raise PullError("rpc error: code = Canceled desc = context canceled")
            return running.result()
        finally:
            running.cancel()
            pulls.discard(running)

    def reference(self, image: Image, name: str) -> str:
        """What a status calls the image: by digest where a registry has it (`docker.io/library/x@sha256:…`), and where
        several have it the one that `name` is of."""
        digests, asked = [parse(digest) for digest in self._store.digests(image.id)], parse(name)
        digests.sort(key=lambda each: (each.domain, each.path) != (asked.domain, asked.path))
        return next((canonical(digest) for digest in digests), image.id)

    def abort(self, pod_uid: str) -> None:
        """The pod is to end: do not wait for its images."""
        for pull in self._pulls.pop(pod_uid, set()):
            pull.cancel()

    def forget(self, pod_uid: str) -> None:
        self._backoff.forget(f"{pod_uid}_")
        self._pulls.pop(pod_uid, None)
        for key in [k for k in self._errors if k.startswith(f"{pod_uid}_")]:
            del self._errors[key]


def _duration(seconds: float) -> str:
    """Go's time.Duration, cut to milliseconds: `412ms`, `1.5s`, `1m2.003s`."""
    milliseconds = int(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    return (f"{minutes}m" if minutes else "") + f"{rest / 1000:g}s"
