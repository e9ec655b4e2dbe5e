"""The `semcomp` command. Only this package talks to the terminal: data on stdout, the rest on stderr.

Each command lives in a module of its own, imported when it runs: `semcomp --help` and `semcomp info` import neither
torch nor numpy.
"""
