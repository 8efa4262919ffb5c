"""Use cases: one per file, plain Python over ports."""
