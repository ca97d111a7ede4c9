"""The service proxy of a node: cluster IPs and node ports, forwarded to endpoints. Upstream: pkg/proxy."""
