"""`python -m semcomp.edge` runs the torch-free client on the command line."""

import sys

from semcomp.cli.edge import main

if __name__ == "__main__":
    sys.exit(main())
