"""Training stages: one file each. A file declares `STAGE`, `Options` and `build_trainer`."""
