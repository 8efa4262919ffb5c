"""The parts of the monitor's screens."""
