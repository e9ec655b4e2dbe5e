"""What the results pages show, written from the records of benchmarks: one module for each topic."""
