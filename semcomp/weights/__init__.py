"""The released weights with their cards, and how a file of weights is read."""
