"""Scorers: one file each. A file declares `Scorer(resolved, hardware)`; see ports.scorer."""
