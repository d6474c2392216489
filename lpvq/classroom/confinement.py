"""Lock a kernel in, on Linux: bubblewrap shows it Python, the package and the data sets, and nothing else.

It has no network, no files of whoever grades, no other processes, a home and a disk of its own in memory, and no
privileges, and all that it has started ends with it. What is shown can only be read. The one way out is the folder with
the kernel's sockets, in which it could write: ``lpvq.classroom.watching`` keeps an eye on that.
"""

import functools
import os
import shutil
import subprocess
import sys

from lpvq.paths import CHECKOUT, PACKAGE, shipped

_OWN = "/tmp"  # inside, this is another folder: the kernel's
HOME, WORK = f"{_OWN}/home", f"{_OWN}/work"

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/sys/devices/system/cpu")
_OF_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "localtime", "matplotlibrc")
_UNDUMPABLE, _SUBREAPER = 4, 36  # PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER


@functools.cache
def why_not() -> str | None:
    """Return why nothing can be locked in on this machine; None where it can. It is tried once."""
    if sys.platform != "linux":
        return "this takes Linux"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian: sudo apt install bubblewrap)"
    tried = subprocess.run(
        [*wrapped(_OWN, 2**20), sys.executable, "-c", ""], capture_output=True, text=True, timeout=60
    )  # fmt: skip
    lines = tried.stderr.strip().splitlines()
    return None if tried.returncode == 0 else lines[-1] if lines else f"bwrap ended with status {tried.returncode}"


def wrapped(inner: str, disk: int) -> list[str]:
    """Return the command that has to stand before another to lock it in.

    Args:
        inner: the folder for sockets; the only one that can be written to.
        disk: bytes that may be written below ``HOME`` and ``WORK``, and as many in shared memory.
    """
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--hostname", "classroom", "--unsetenv", "JPY_PARENT_PID"]  # from outside: it would end the kernel
    command += ["--proc", "/proc", "--dev", "/dev", "--size", str(disk), "--tmpfs", "/dev/shm"]
    command += ["--size", str(disk), "--tmpfs", _OWN, "--dir", HOME, "--dir", WORK]
    for path in _SYSTEM:
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            command += ["--ro-bind", path, path]
    for path in _readable():
        command += ["--ro-bind-try", path, path]
    if CHECKOUT is None:
        command += ["--tmpfs", str(shipped("assignments"))]  # with their solutions
    if inner != _OWN:
        command += ["--bind", inner, inner]
    return [*command, "--chdir", WORK]


def _readable() -> list[str]:
    """What a notebook of the course needs, besides the system."""
    paths = [*(f"/etc/{name}" for name in _OF_ETC), sys.prefix, sys.base_prefix, sys.exec_prefix]
    paths += [os.path.realpath(path) for path in (sys.prefix, sys.base_prefix)]
    paths += [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    paths += [str(PACKAGE), str(shipped("pretrained"))]
    if CHECKOUT is not None:
        paths.append(str(CHECKOUT / "pyproject.toml"))
    if os.environ.get("LPVQ_DATA"):
        paths.append(os.path.abspath(os.environ["LPVQ_DATA"]))
    return [path for path in dict.fromkeys(paths) if not path.startswith("/usr/") and path not in ("/", "/usr")]


def hide_this_process() -> None:
    """Keep the user's other processes from reading this one's environment and memory, and adopt orphans; on Linux."""
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None)
        libc.prctl(_UNDUMPABLE, 0, 0, 0, 0)
        libc.prctl(_SUBREAPER, 1, 0, 0, 0)
