"""The docker SDK on a real engine: what the course makes there is marked as its own, to be removed again."""

from __future__ import annotations

from typing import Any

import docker

from kubelab.settings.docker_leavings import LABELS


class LabellingAPIClient(docker.APIClient):
    """Adds the course's label to containers, networks, volumes and imported images."""

    def create_container_from_config(self, config: Any, *arguments: Any, **options: Any) -> Any:
        config["Labels"] = {**(config.get("Labels") or {}), **LABELS}
        return super().create_container_from_config(config, *arguments, **options)

    def create_network(self, *arguments: Any, labels: dict[str, str] | None = None, **options: Any) -> Any:
        return super().create_network(*arguments, labels={**(labels or {}), **LABELS}, **options)

    def create_volume(self, *arguments: Any, labels: dict[str, str] | None = None, **options: Any) -> Any:
        return super().create_volume(*arguments, labels={**(labels or {}), **LABELS}, **options)

    def import_image(self, *arguments: Any, changes: list[str] | None = None, **options: Any) -> Any:
        marks = [f"LABEL {name}={value}" for name, value in LABELS.items()]
        return super().import_image(*arguments, changes=[*(changes or []), *marks], **options)


class LabellingClient(docker.DockerClient):
    """`docker.DockerClient` with that below it."""

    def __init__(self, **options: Any) -> None:
        self.api = LabellingAPIClient(**options)
