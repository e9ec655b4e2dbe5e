"""The `semcomp` command. Only this package talks to the terminal: data on stdout, the rest on stderr.

Each command has a module with `add_parser`, which defines its options, and `run`. The modules import the standard
library alone; torch, numpy and Pillow are imported inside the functions that need them, so that `semcomp --help` and
`semcomp info` answer at once.
"""
