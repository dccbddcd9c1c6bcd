"""Identity of this machine, and signs of life of its processes."""

import hashlib
import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def host() -> str:
    """Return 16 hexadecimal digits: this machine since it was started, and on Linux this container."""
    name = socket.gethostname()
    with suppress(OSError):
        name += Path("/proc/sys/kernel/random/boot_id").read_text()
        name += os.readlink("/proc/self/ns/pid")  # noqa: PTH115  not a path of files
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def runs(process: int) -> bool:
    """Return whether a process of this machine runs; True where the system cannot be asked."""
    if os.name != "posix":  # asking is not possible there without ending it
        return True
    if process == 0:  # to a signal, a group of processes
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
