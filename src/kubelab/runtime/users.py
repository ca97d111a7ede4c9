"""Who a container's process is: `user` of its config, looked up in the image's /etc/passwd and /etc/group.

The rules and messages are runc's (libcontainer/user, formerly opencontainers/runc/libcontainer/user/user.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class User:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def _records(path: Path) -> list[list[str]]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [line.split(":") for line in lines if line.strip() and not line.startswith("#")]


def lookup(user: str, root: Path = Path("/")) -> User:
    """The user of `uid`, `name`, `uid:gid` or `name:group`; "" is root. Raises ValueError for an unknown name."""
    name, _, group = user.partition(":")
    found = _passwd_entry(name or "0", root)
    uid, gid, home = found or _unlisted(name)
    if group:
        return User(uid, _group_id(group, root), (), home)
    login = next((entry[0] for entry in _records(root / "etc/passwd") if len(entry) > 3 and entry[2] == str(uid)), name)
    return User(uid, gid, _supplementary(login, root), home)


def _passwd_entry(name: str, root: Path) -> tuple[int, int, str] | None:
    for entry in _records(root / "etc/passwd"):
        if len(entry) >= 7 and name in (entry[0], entry[2]):
            return int(entry[2]), int(entry[3]), entry[5] or "/"
    return None


def _unlisted(name: str) -> tuple[int, int, str]:
    if not name or name == "root":
        return 0, 0, "/root" if not name else "/"
    if not name.isdecimal():
        raise ValueError(f"unable to find user {name}: no matching entries in passwd file")
    return int(name), 0, "/"


def _group_id(group: str, root: Path) -> int:
    for entry in _records(root / "etc/group"):
        if len(entry) >= 3 and group in (entry[0], entry[2]):
            return int(entry[2])
    if not group.isdecimal():
        raise ValueError(f"unable to find group {group}: no matching entries in group file")
    return int(group)


def _supplementary(login: str, root: Path) -> tuple[int, ...]:
    entries = [entry for entry in _records(root / "etc/group") if len(entry) >= 4]
    return tuple(int(entry[2]) for entry in entries if login and login in entry[3].split(","))
