"""Networks as their authors published them, over checkpoints under their own names.

Written from the papers and the published modelling files, to compare conversions with. Shapes: T
tokens, H heads, G key-value groups, C channels of a head, D width, F inner width, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import layer_norm, linear, normalize, silu

Weights = Mapping[str, torch.Tensor]
Shapes = dict[str, tuple[int, ...]]
D, F, H, G, C, V, LAYERS = 64, 96, 4, 2, 16, 384, 2


@dataclass(frozen=True, slots=True)
class Original:
    """A tiny model of remote code."""

    name: str
    """Which it is."""
    config: dict[str, Any]
    """Its config.json."""
    shapes: Shapes
    """Its tensors."""
    forward: Callable[[Weights, torch.Tensor], torch.Tensor]
    """Logits (T, V) of the tokens (T)."""

    def weights(self, seed: int = 0) -> dict[str, torch.Tensor]:
        """Random weights; scales of norms are near one."""
        source = torch.Generator().manual_seed(seed)
        return {
            name: torch.randn(shape, generator=source) * (0.2 if len(shape) > 1 else 0.3)
            + (1.0 if len(shape) == 1 and name.endswith("weight") else 0.0)
            for name, shape in self.shapes.items()
        }


def rms(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """RMSNorm (Zhang and Sennrich 2019), epsilon 1e-6."""
    return scale * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def turned(x: torch.Tensor, base: float = 10000.0, *, pairs: str = "halves") -> torch.Tensor:
    """Rotary positions (Su et al. 2021): channels i and i + C/2 make a pair, or i and i + 1."""
    tokens, channels = x.shape[1:]
    angles = torch.outer(
        torch.arange(tokens).float(), base ** (-torch.arange(0, channels, 2) / channels)
    )
    if pairs == "halves":
        first, second = x[..., : channels // 2], x[..., channels // 2 :]
    else:
        first, second = x[..., 0::2], x[..., 1::2]
    one = first * angles.cos() - second * angles.sin()
    two = second * angles.cos() + first * angles.sin()
    if pairs == "halves":
        return torch.cat((one, two), dim=-1)
    return torch.stack((one, two), dim=-1).flatten(-2)


def heads_of(x: torch.Tensor, count: int) -> torch.Tensor:
    """(T, count * C) to (count, T, C)."""
    return x.unflatten(-1, (count, -1)).transpose(0, 1)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention; H / G neighbouring heads share a group. (T, H * C)."""
    each = len(q) // len(k)
    keys, values = (x.repeat_interleave(each, dim=0) for x in (k, v))
    scores_HTT = q @ keys.transpose(1, 2) / math.sqrt(q.shape[-1])
    later = torch.ones_like(scores_HTT[0], dtype=torch.bool).triu(1)
    mixed_HTC = scores_HTT.masked_fill(later, -torch.inf).softmax(-1) @ values
    return mixed_HTC.transpose(0, 1).flatten(1)


def swiglu(w: Weights, at: str, x: torch.Tensor, names: str = "gate up down") -> torch.Tensor:
    """down(silu(gate(x)) * up(x)) (Shazeer 2020); biases where the weights have them."""
    gate, up, down = (f"{at}{each}" for each in names.split())
    inner = silu(project(w, gate, x)) * project(w, up, x)
    return project(w, down, inner)


def project(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    """A linear layer by its name."""
    return linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def run(
    w: Weights,
    x: torch.Tensor,
    at: str,
    norms: tuple[str, str],
    blocks: tuple[Callable[[str, torch.Tensor], torch.Tensor], ...],
    norm: Callable[[str, torch.Tensor], torch.Tensor] | None = None,
    layers: int = LAYERS,
) -> torch.Tensor:
    """Pre-normed residual layers: x + attention(norm(x)), then x + mlp(norm(x))."""
    normed = norm or (lambda name, x: rms(x, w[f"{name}.weight"]))
    for number in range(layers):
        layer = f"{at}.{number}."
        for name, block in zip(norms, blocks, strict=True):
            x = x + block(layer, normed(layer + name, x))
    return x


def shaped(rows: Mapping[str, tuple[int, ...]], at: str, layers: int = LAYERS) -> Shapes:
    """Shapes of every layer and, for names that begin with `/`, of what stands once."""
    found: Shapes = {}
    for name, shape in rows.items():
        numbers: Iterator[int] = iter(range(layers))
        if name.startswith("/"):
            found[name[1:]] = shape
        else:
            found |= {f"{at}.{number}.{name}": shape for number in numbers}
    return found


def shape_by_norm(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    """LayerNorm with scale and shift, epsilon 1e-6."""
    return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-6)


def unit_rows(weight: torch.Tensor) -> torch.Tensor:
    """Baichuan2's NormHead: rows of unit length (Yang et al. 2023)."""
    return normalize(weight)
