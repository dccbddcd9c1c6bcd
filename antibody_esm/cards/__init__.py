"""Model cards: the README of a saved model, from its manifest alone."""
