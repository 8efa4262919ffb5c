"""Measured comparisons; each prints ratios and writes JSON."""
