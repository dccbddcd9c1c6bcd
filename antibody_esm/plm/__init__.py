"""Protein language models: from a name to vectors."""
