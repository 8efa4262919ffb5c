"""How model families write tool calls: one file each, chosen by what the chat template contains.

A file declares `SIGN`, a pattern that is found in the Jinja source of the templates whose models
write so, and `FORMAT`, an `adapters.written_calls.WrittenCalls`.
"""
