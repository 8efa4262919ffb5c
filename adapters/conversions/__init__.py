"""Conversions to native classes: one file for each `model_type` of remote code.

A file declares `native_config(source)`, the values of the native config with its `model_type`, or
`UnfitError` with the reason; `native_weights(name, tensor, source)`, the native tensors that one
tensor of the checkpoint becomes; and `TOKENIZER`, the class that reads its `tokenizer.model`, if
any does.
Each is proved by equal logits in tests/contracts/test_conversions.py.
"""
