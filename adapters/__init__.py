"""How the world answers: one library per file, imported inside functions."""
