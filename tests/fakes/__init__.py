"""One fake per port, in memory and without chance."""
