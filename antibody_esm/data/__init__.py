"""Labelled antibodies."""
