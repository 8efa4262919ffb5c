"""Models loaded by Unsloth, whose own attention, norms and MLPs stand in for transformers'."""

from typing import Any

from domain.model_handle import ModelHandle


def load_unsloth(handle: ModelHandle, *, dtype: str, **settings: Any) -> Any:
    """The language model of a handle, without its adapters, in `dtype`.

    Unless told not to, Unsloth packs weights in 4 bits and swaps many names for its own uploads.
    """
    import torch
    from unsloth import FastLanguageModel  # type: ignore[import-not-found]

    network, _ = FastLanguageModel.from_pretrained(
        handle.path,
        revision=handle.revision,
        dtype=getattr(torch, dtype),
        max_seq_length=handle.context_tokens,
        load_in_4bit=False,
        use_exact_model_name=True,
        **settings,
    )
    return network
