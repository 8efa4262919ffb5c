"""The catalogue of chat templates and model families."""
