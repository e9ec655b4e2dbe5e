"""Programs that write parts of the documentation: run from a checkout."""
