"""Shifted sparse attention for training on long inputs (LongLoRA, Chen et al. 2023, section 3.2).

Tokens attend inside groups of a quarter of the sequence; in half of the heads the groups begin
half a group later, which lets information cross them. Positions are never rolled around the end,
so the shifted heads' first group is a half group and no token sees a later one. In evaluation and
generation attention is whole. Registered by transformers' attention and mask interfaces.

Masks are boolean, of shape (B, 1, T, T).

Shapes: B batch, H heads, T tokens, D head width, N groups, G tokens in a group.
"""

from functools import partial
from typing import Any

NAME = "s2"
GROUPS = 4
"""Groups in a sequence, as in the paper."""


def register_s2(group_tokens: int | None = None) -> str:
    """The name under which transformers knows it from now on, with groups of so many tokens.

    Without its mask function no mask would apply.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    name = NAME if group_tokens is None else f"{NAME}_{group_tokens}"
    AttentionInterface.register(name, partial(s2_attention, group_tokens=group_tokens))
    AttentionMaskInterface.register(name, sdpa_mask)
    return name


def s2_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    group_tokens: int | None = None,
    **rest: Any,
) -> tuple[Any, None]:
    """Attention output of shape (B, T, H, D); whole unless a causal layer trains on a sequence.

    A group has `group_tokens`, or a quarter of the sequence.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    tokens, heads = query.shape[2], query.shape[1]
    size = group_tokens or -(-tokens // GROUPS)
    if not (module.training and module.is_causal and key.shape[2] == tokens > max(size, GROUPS)):
        whole: tuple[Any, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **rest
        )
        return whole
    key, value = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (key, value))
    halves = (slice(0, heads // 2), 0), (slice(heads // 2, heads), size // 2)
    outputs = [
        _grouped(
            *(x[:, part] for x in (query, key, value)),
            mask=attention_mask,
            size=size,
            shift=shift,
            dropout=dropout,
            scaling=scaling,
        )
        for part, shift in halves
    ]
    return torch.cat(outputs, dim=1).transpose(1, 2).contiguous(), None


def _grouped(
    query: Any,
    key: Any,
    value: Any,
    *,
    mask: Any,
    size: int,
    shift: int,
    dropout: float,
    scaling: float | None,
) -> Any:
    """Causal attention inside groups of `size`, the first one of `size - shift` tokens."""
    import torch
    from torch.nn.functional import pad, scaled_dot_product_attention

    batch, heads, tokens, _ = query.shape
    before = size - shift if shift else 0
    count = -(-(before + tokens) // size)
    after = count * size - before - tokens

    def split(states: Any) -> Any:
        padded = pad(states, (0, 0, before, after))
        blocks = padded.unflatten(2, (count, size)).transpose(1, 2)
        return blocks.reshape(batch * count, heads, size, -1)

    allowed = _allowed(mask, batch, tokens, before, count, size, query.device)
    output = scaled_dot_product_attention(
        split(query), split(key), split(value), attn_mask=allowed, dropout_p=dropout, scale=scaling
    )
    output = output.unflatten(0, (batch, count)).transpose(1, 2).flatten(2, 3)
    whole: torch.Tensor = output[:, :, before : before + tokens]
    return whole


def _allowed(
    mask: Any, batch: int, tokens: int, before: int, count: int, size: int, device: Any
) -> Any:
    """Who sees whom, of shape (B * N, 1, G, G); everyone sees itself, so that no row is empty."""
    import torch

    place_NG = torch.arange(count * size, device=device).view(count, size) - before
    real_NG = (place_NG >= 0) & (place_NG < tokens)
    allowed = torch.ones(size, size, dtype=torch.bool, device=device).tril() & real_NG[:, None]
    allowed = allowed.expand(batch, -1, -1, -1)
    if mask is not None:
        inside_NG = place_NG.clamp(0, tokens - 1)
        given = mask[:, 0][:, inside_NG[:, :, None], inside_NG[:, None, :]]
        allowed = allowed & given.expand(batch, -1, -1, -1)
    allowed = allowed | torch.eye(size, dtype=torch.bool, device=device)
    return allowed.reshape(batch * count, 1, size, size)
