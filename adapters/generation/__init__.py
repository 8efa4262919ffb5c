"""Answers token by token: batches, draws, grammars, and text out of tokens."""
