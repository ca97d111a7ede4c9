"""Streams into pods: SPDY/3.1 and WebSocket sessions, and what runs over them (exec, attach, port-forward, logs).

Upstream: k8s.io/kubelet/pkg/cri/streaming, k8s.io/apimachinery/pkg/util/httpstream,
k8s.io/client-go/tools/remotecommand.
"""
