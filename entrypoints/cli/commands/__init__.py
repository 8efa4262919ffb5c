"""Commands of `tune`, grouped; each module has `register(app)`."""
