"""Vectors of sequences from whatever gives them."""
