"""Gives a Python program at the level *process* its pod's address. Python imports it at start, because its folder is on
PYTHONPATH.

All pods share the host's network there, each with a loopback address of its own. What a program would do to every
interface, or to `localhost`, it does to the pod's address, so that two pods can both serve on one port and the
containers of one pod reach each other by `localhost`. Standard library alone; it must not fail where there is no pod.
"""

import errno
import os
import socket

_ADDRESS = os.environ.get("KUBELAB_POD_IP", "")
_SHIFT = int(os.environ.get("KUBELAB_PORT_SHIFT", "0"))
_ANY = ("", "0.0.0.0", "<any>")
_LOCALHOST = ("localhost", "127.0.0.1", "localhost.localdomain")


def _names():
    """Host name -> address, from the pod's own hosts file."""
    found = {}
    with open(os.environ["KUBELAB_HOSTS"]) as lines:  # noqa: PTH123 (pathlib would slow every program's start)
        for line in lines:
            address, *names = line.split("#")[0].split() or [""]
            for name in names:
                found.setdefault(name, _ADDRESS if address == "127.0.0.1" else address)
    return found


def _local(address):
    """The address to use in place of the given one, as `kubelab.runtime.addresses` has it."""
    host, port = address
    host = _ADDRESS if host in _ANY + _LOCALHOST else host
    return host, port + _SHIFT if 0 < port < 1024 and host.startswith("127.") else port


def _take_over():
    plain_bind, plain_connect, plain_connect_ex = socket.socket.bind, socket.socket.connect, socket.socket.connect_ex
    plain_getaddrinfo, names = socket.getaddrinfo, _names()
    hostname = os.environ.get("HOSTNAME") or socket.gethostname()

    def bind(self, address):
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "pods have IPv4 addresses only")
        return plain_bind(self, _local(address) if self.family == socket.AF_INET else address)

    def target(self, address):
        """Where to connect to; from the pod's address, as it would be from a network namespace."""
        if self.family != socket.AF_INET:
            return address
        address = _local(address)
        if address[0].startswith("127.") and self.getsockname() == ("0.0.0.0", 0):
            plain_bind(self, (_ADDRESS, 0))
        return address

    def connect(self, address):
        return plain_connect(self, target(self, address))

    def connect_ex(self, address):
        return plain_connect_ex(self, target(self, address))

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        host = names.get(host, host) if isinstance(host, str) else host
        family = socket.AF_INET if family == socket.AF_UNSPEC else family
        return plain_getaddrinfo(host, port, family, type, proto, flags)

    def gethostbyname(host):
        return getaddrinfo(host, None)[0][4][0]

    socket.socket.bind, socket.socket.connect, socket.socket.connect_ex = bind, connect, connect_ex
    socket.getaddrinfo, socket.gethostbyname, socket.gethostname = getaddrinfo, gethostbyname, lambda: hostname


if _ADDRESS:
    _take_over()
