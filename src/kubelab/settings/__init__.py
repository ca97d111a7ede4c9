"""What the engines are told before they start: addresses, ports, certificates, kubeconfigs, config files."""
