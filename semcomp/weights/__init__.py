"""The released weights with their cards, and the reader of files of weights."""
