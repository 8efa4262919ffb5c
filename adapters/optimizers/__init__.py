"""Optimizers: one file each. A file declares `Options` and `training_arguments`."""
