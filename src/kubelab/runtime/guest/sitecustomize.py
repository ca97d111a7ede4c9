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
                found.setdefault(name.lower(), _ADDRESS if address == "127.0.0.1" else address)
    return found


def _local(address):
    """The address to use in place of the given one, as `kubelab.runtime.addresses` has it."""
    host, port = address
    host = _ADDRESS if host in _ANY + _LOCALHOST else host
    return host, port + _SHIFT if 0 < port < 1024 and host.startswith("127.") else port


def _resolv_conf():
    """Name servers and search list of the pod's resolv.conf, and its ndots."""
    servers, searches, ndots = [], [], 1
    with open(os.environ["KUBELAB_RESOLV_CONF"]) as lines:  # noqa: PTH123
        for line in lines:
            word, *values = line.split() or [""]
            if word == "nameserver":
                servers += values[:1]
            elif word == "search":
                searches = values
            elif word == "options":
                ndots = max([ndots, *(int(v[6:]) for v in values if v.startswith("ndots:"))])
    return servers, searches, ndots


def _candidates(host, searches, ndots):
    """The absolute names that resolv.conf(5) tries, in its order."""
    if host.endswith("."):
        return [host.rstrip(".")]
    longer = [f"{host}.{domain}" for domain in searches]
    return [host, *longer] if host.count(".") >= ndots else [*longer, host]


def _ask(exchange, name):
    """The first IPv4 address of a name; "" where it has none. `exchange(query)` asks a name server."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("idna").split(b"."))
    answer = exchange(os.urandom(2) + b"\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1")
    place = 12 + len(labels) + 5
    for _ in range(int.from_bytes(answer[6:8], "big")):
        while answer[place] and answer[place] < 192:  # a name: labels, or a pointer of two bytes
            place += 1 + answer[place]
        place += 2 if answer[place] else 1
        kind, length = answer[place : place + 2], int.from_bytes(answer[place + 8 : place + 10], "big")
        if kind == b"\0\1":
            return ".".join(map(str, answer[place + 10 : place + 14]))
        place += 10 + length
    return ""


def _is_address(host):
    try:
        socket.inet_aton(host)
    except OSError:
        return ":" in host
    return True


def _take_over():
    plain_bind, plain_connect, plain_connect_ex = socket.socket.bind, socket.socket.connect, socket.socket.connect_ex
    plain_getaddrinfo, names = socket.getaddrinfo, _names()
    servers, searches, ndots = _resolv_conf()
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

    def exchange(query):
        """One question to the cluster's name server, which passes on what is outside the cluster."""
        for server in servers:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(5)
                try:
                    asking.connect((server, 53))
                    asking.send(query)
                    answer = asking.recv(65535)
                except OSError:
                    continue
                if answer[:2] == query[:2]:
                    return answer
        return bytes(12)

    def look_up(host):
        """In the pod's hosts file, then by DNS where the cluster's is the pod's; else the name itself."""
        if host.lower() in names:
            return names[host.lower()]
        if not servers or not servers[0].startswith("127.") or _is_address(host) or host in _ANY:
            return host
        found = (_ask(exchange, name) for name in _candidates(host, searches, ndots))
        return next(filter(None, found), host)

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        host = look_up(host) if isinstance(host, str) else host
        family = socket.AF_INET if family == socket.AF_UNSPEC else family
        return plain_getaddrinfo(host, port, family, type, proto, flags)

    def gethostbyname(host):
        return getaddrinfo(host, None)[0][4][0]

    socket.socket.bind, socket.socket.connect, socket.socket.connect_ex = bind, connect, connect_ex
    socket.getaddrinfo, socket.gethostbyname, socket.gethostname = getaddrinfo, gethostbyname, lambda: hostname


if _ADDRESS:
    _take_over()
