"""Identity of this machine, and the state of its processes."""

import hashlib
import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def host() -> str:
    """Return 16 hexadecimal digits that identify this machine since its last start, and on Linux this container."""
    name = socket.gethostname()
    with suppress(OSError):
        name += Path("/proc/sys/kernel/random/boot_id").read_text()
        name += os.readlink("/proc/self/ns/pid")  # noqa: PTH115  not a path of files
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def runs(process: int) -> bool:
    """Return True if a process of this machine runs, or if the system cannot tell."""
    if os.name != "posix":  # on other systems, the check would end the process
        return True
    if process == 0:  # signals treat 0 as a group of processes
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
