"""The cluster's DNS: a resolver on each node. Upstream: CoreDNS with its `kubernetes` and `forward` plug-ins."""
