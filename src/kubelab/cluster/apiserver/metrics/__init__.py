"""What metrics-server does: it reads every kubelet's `/metrics/resource` and answers for metrics.k8s.io.

Upstream: kubernetes-sigs/metrics-server (pkg/scraper, pkg/storage, pkg/api). There it is a deployment of its own behind
an APIService; here the API server keeps it in its own process, and asks the kubelets as it does for logs.

| file | concept |
| --- | --- |
| `scraper.py` | reads the kubelets, every `--metric-resolution` |
| `points.py` | two readings of each container and node, and what is used between them |
| `api.py` | NodeMetrics and PodMetrics |
"""
