kubectl -n kubelab-04-ex3 label $(kubectl -n kubelab-04-ex3 get pods -l app=web -o name | head -n 1) app=patient --overwrite
