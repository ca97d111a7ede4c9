"""Probes: liveness, readiness, startup. Upstream: pkg/kubelet/prober."""
