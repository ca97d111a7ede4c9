kubectl -n kubelab-01-ex3 scale deployment catalog orders payments --replicas=2
