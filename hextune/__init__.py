"""Hextune: fine-tune, align, evaluate and serve open language models."""

__version__ = "0.1.0"
