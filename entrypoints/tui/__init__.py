"""The terminal monitor: runs of any state, whoever trains them, in the reader's language."""
