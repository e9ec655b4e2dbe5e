"""One module for each command: `add_parser` defines its options and `run` runs it."""
