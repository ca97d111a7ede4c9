"""The API server's settings: kube-apiserver's flags without their dashes in front (`config/kube-apiserver.json`)."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from kubelab.cluster import times

GATES = {"WatchList": False}  # the feature gates that change something here, as 1.33 has them


@dataclass(frozen=True)
class Config:
    """`secure_port` 0 is any free one. Certificate, keys and token file are made by `kubelab.settings`."""

    tls_cert_file: str
    tls_private_key_file: str
    token_auth_file: str
    bind_address: str = "127.0.0.1"
    secure_port: int = 0
    service_cluster_ip_range: str = "10.96.0.0/16"
    service_node_port_range: str = "30000-32767"
    default_not_ready_toleration_seconds: int = 300
    default_unreachable_toleration_seconds: int = 300
    event_ttl: str = "1h0m0s"
    service_account_signing_key_file: str = ""  # without one tokens are good until the process ends
    feature_gates: str = ""  # `WatchList=true`
    kubelet_token: str = ""  # what the API server shows to a kubelet's own server

    @classmethod
    def load(cls, path: Path) -> Config:
        """Read a file. Raises ValueError naming a setting that does not exist or one that is missing."""
        settings = {key.replace("-", "_"): value for key, value in json.loads(path.read_text()).items()}
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            listed = ", ".join(name.replace("_", "-") for name in sorted(known))
            raise ValueError(f"{path}: unknown flags {', '.join(unknown)}; known are {listed}")
        try:
            cls._check_gates(path, settings.get("feature_gates", ""))
            return cls(**settings)
        except TypeError as error:
            raise ValueError(f"{path}: {error}") from None

    @staticmethod
    def _check_gates(path: Path, text: str) -> None:
        unknown = {entry.partition("=")[0] for entry in text.split(",") if entry} - GATES.keys()
        if unknown:
            known = ", ".join(GATES)
            raise ValueError(f"{path}: unrecognized feature gate: {', '.join(sorted(unknown))}; known: {known}")

    def gate(self, name: str) -> bool:
        """Whether a feature is on: those of GATES are as in 1.33, unless `feature_gates` says otherwise."""
        given = dict(entry.partition("=")[::2] for entry in self.feature_gates.split(",") if entry)
        return given[name].lower() == "true" if name in given else GATES[name]

    @property
    def node_ports(self) -> range:
        """The ports that services of type NodePort get."""
        first, _, last = self.service_node_port_range.partition("-")
        return range(int(first), int(last) + 1)

    @property
    def event_ttl_seconds(self) -> float:
        return times.duration(self.event_ttl)
