"""``python -m lpvq``: the command line."""

from lpvq.cli import main

main()
