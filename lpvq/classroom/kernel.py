"""Become an IPython kernel that may take a given memory and no more: ``python kernel.py MEMORY DISK -f FILE``.

It is the only part that runs in the same world as a student's code, and imports nothing from the package.
"""

import sys


def limit(memory: int, disk: int) -> None:
    """Take limits that nothing started from here can lift again; on Linux."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    limit(int(sys.argv[1]), int(sys.argv[2]))
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance(argv=sys.argv[3:])
