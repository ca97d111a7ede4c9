kubectl -n kubelab-03-ex3 delete pods -l env=test
kubectl -n kubelab-03-ex3 label pods -l env=prod tier=live
