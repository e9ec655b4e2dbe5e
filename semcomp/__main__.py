"""`python -m semcomp` is `semcomp`."""

from semcomp.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
