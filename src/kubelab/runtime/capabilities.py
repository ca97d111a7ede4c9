"""The capabilities of a container: Docker's default set, with what is added and dropped (capabilities(7)).

Sources: moby, oci/caps/defaults.go and utils.go (TweakCapabilities); the numbers are linux/capability.h's.
"""

from __future__ import annotations

from collections.abc import Iterable

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NUMBERS = {name: number for number, name in enumerate(_NAMES.split())}
_DEFAULT = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE"
)
DEFAULT = frozenset(NUMBERS[name] for name in _DEFAULT.split())
ALL = "ALL"


def normalize(name: str) -> str:
    """ "cap_net_admin" as "NET_ADMIN". Raises ValueError for one that there is not."""
    short = name.upper().removeprefix("CAP_")
    if short != ALL and short not in NUMBERS:
        raise ValueError(f'invalid capability: "{name}"')
    return short


def wanted(add: Iterable[str] = (), drop: Iterable[str] = ()) -> frozenset[int]:
    """The numbers that stay: what is added wins over ALL dropped, what is dropped over ALL added."""
    added, dropped = {normalize(name) for name in add}, {normalize(name) for name in drop}
    kept = frozenset() if ALL in dropped else DEFAULT
    if ALL in added:
        kept = frozenset(NUMBERS.values())
    else:
        kept |= {NUMBERS[name] for name in added}
    return kept - {NUMBERS[name] for name in dropped - {ALL}} if ALL not in dropped or ALL in added else kept
