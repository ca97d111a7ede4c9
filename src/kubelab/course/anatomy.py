"""What the containers of a pod share, read from inside each of them.

/proc/self/ns holds a link for each kind of namespace; two processes are in the same one exactly when the number in the
link is the same (namespaces(7)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tables import Table

if TYPE_CHECKING:
    from .lab import Lab

KINDS = {
    "net": "network: addresses, ports, localhost",
    "ipc": "shared memory and message queues",
    "uts": "host name",
    "pid": "process numbers",
    "mnt": "file systems",
}


def namespaces(lab: Lab, pod: str) -> dict[str, dict[str, str]]:
    """For each container of a pod, what the link of each kind says: {"web": {"net": "net:[4026532567]", …}}."""
    containers = [container["name"] for container in lab.read(f"pod/{pod}")["spec"]["containers"]]
    command = ["sh", "-c", "; ".join(f"readlink /proc/self/ns/{kind}" for kind in KINDS)]
    return {name: dict(zip(KINDS, lab.exec(pod, command, name).split(), strict=True)) for name in containers}


def shared_table(lab: Lab, pod: str) -> Table:
    """One row a kind of namespace: what each container's link says, and whether they are the same."""
    found = namespaces(lab, pod)
    rows = []
    for kind, meaning in KINDS.items():
        links = [found[name][kind] for name in found]
        rows.append([kind, *links, "shared" if len(set(links)) == 1 else "own", meaning])
    command = f"kubectl -n {lab.namespace} exec {pod} -c CONTAINER -- readlink /proc/self/ns/KIND"
    return Table(["KIND", *(name.upper() for name in found), "", "WHAT IT IS"], rows, command)
