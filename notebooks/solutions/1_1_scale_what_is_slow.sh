kubectl -n kubelab-01-ex1 scale deployment payments --replicas=3
