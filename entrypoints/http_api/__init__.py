"""The OpenAI-compatible HTTP door: models and chat completions over one engine."""
