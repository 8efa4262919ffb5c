"""Aligners: one file for each layout of rows; each has `align(values, source)`."""
