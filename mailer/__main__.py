"""`python -m mailer` is the command `mailer`."""

import sys

from mailer.cli import main

if __name__ == "__main__":
    sys.exit(main())
