"""The one exception for what a reader can put right, and the one for what befalls one of several processes."""


class InputError(ValueError):
    """Bad input: a value, a file or a folder that cannot be used.

    The message names what was given, what was expected, and what to do. The command line prints it as one line
    and exits with status 2; everything else that is raised is a defect of the package.
    """


class ProcessLostError(RuntimeError):
    """Another of several processes that share their work has ended, or cannot be reached any more."""
