"""Ports are kept while they are free."""

import socket

from kubelab.settings.ports import kept_ports


def test_kept(home):
    assert kept_ports(home) == kept_ports(home)


def test_replaced_when_somebody_has_taken_it(home):
    first = kept_ports(home)["kube-apiserver"]
    with socket.socket() as other:
        other.bind(("127.0.0.1", first))
        other.listen()
        second = kept_ports(home)["kube-apiserver"]
    assert second != first
