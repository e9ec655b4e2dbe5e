"""Generators: networks that synthesise what a file does not hold, guided by its label map."""
