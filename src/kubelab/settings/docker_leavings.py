"""What the course has left in a real Docker Engine, and its removal: only what carries the course's label.

Everything that the course makes there is labelled: containers, networks and volumes by `course.docker_client`, images
because they are built on `kubelab/python`, whose label they inherit. Nothing is ever pruned.
"""

from __future__ import annotations

from kubelab.settings.docker_engine import Address

LABELS = {"app.kubernetes.io/part-of": "kubelab"}
FILTER = {"label": [f"{name}={value}" for name, value in LABELS.items()]}
NETWORKS = ("bridge", "host", "none")


def remove(address: Address) -> list[str]:
    """Remove it all, running containers too; what was removed, in words. Raises docker.errors.DockerException."""
    from docker.errors import ImageNotFound

    client = address.client()
    try:
        removed = []
        for container in client.containers.list(all=True, filters=FILTER):
            container.remove(force=True, v=True)
            removed.append(f"container {container.name}")
        for network in client.networks.list(filters=FILTER):
            if network.name not in NETWORKS:
                network.remove()
                removed.append(f"network {network.name}")
        for volume in client.volumes.list(filters=FILTER):
            volume.remove()
            removed.append(f"volume {volume.name}")
        # Newest first: an image goes before the one that it was built on.
        for image in sorted(client.images.list(all=True, filters=FILTER), key=lambda each: each.attrs["Created"])[::-1]:
            names = [*image.tags, *image.attrs.get("RepoDigests", [])] or [image.id]
            for name in names:
                try:
                    client.images.remove(name, force=True, noprune=False)
                except ImageNotFound:  # it went with the last image built on it, or with its last tag
                    continue
            removed.append(f"image {(image.tags or [image.short_id])[0]}")
        return removed
    finally:
        client.close()
