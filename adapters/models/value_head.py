"""A value head on a language model: one linear row that makes a score of an answer's last token.

It stands beside the language model's own head, which is left as it was, and in a file beside the
model or adapter it was trained with. Its first values have variance 1 / (hidden + 1), as in
Stiennon et al. 2020, "Learning to summarize from human feedback", appendix B.1.

Shapes: B sequences, T tokens, H hidden width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEAD = "value_head"
"""Name of the head among a network's modules."""
FILE = "value_head.safetensors"
"""Where its weights are kept."""


def attach_head(network: Any) -> Any:
    """The network with a fresh head that learns, in float32 and where its last layer is."""
    import torch

    hidden = network.config.get_text_config().hidden_size
    head = torch.nn.Linear(hidden, 1, bias=False, dtype=torch.float32)
    torch.nn.init.normal_(head.weight, std=(hidden + 1) ** -0.5)
    network.add_module(HEAD, head.to(network.device))
    return network


def save_head(network: Any, folder: str | Path, file: str = FILE) -> None:
    """Write the head's weights into `folder`."""
    from safetensors.torch import save_file

    weight = network.get_submodule(HEAD).weight.detach().cpu().contiguous()
    save_file({"weight": weight}, Path(folder) / file)


def load_head(network: Any, folder: str | Path, file: str = FILE) -> None:
    """Give the network's head the weights kept in `folder`."""
    from safetensors.torch import load_file

    network.get_submodule(HEAD).load_state_dict(load_file(Path(folder) / file))


def scores(network: Any, batch: Mapping[str, Any], weight: Any = None) -> Any:
    """Scores (B,) of sequences padded on the right: `input_ids`, `attention_mask` (B, T).

    They are those of the network's own head, or of another one's weight.

    The decoder alone is run, so no logits exist; the product is a float32 one in any autocast.
    """
    import torch

    mask_BT = batch["attention_mask"]
    hidden_BTH = network.get_decoder()(
        input_ids=batch["input_ids"], attention_mask=mask_BT, use_cache=False
    ).last_hidden_state
    last_B = mask_BT.sum(1) - 1
    rows_B = torch.arange(len(last_B), device=last_B.device)
    head = network.get_submodule(HEAD).weight if weight is None else weight
    weight_H = head[0].float()
    return (hidden_BTH[rows_B, last_B].float() * weight_H).sum(-1)


def score_rows(network: Any, rows: Sequence[Sequence[int]], pad: int) -> list[float]:
    """The score of each row of token ids, in one batch; `pad` fills the shorter ones."""
    import torch

    network.eval()
    with torch.inference_mode():
        found: list[float] = scores(network, padded(rows, pad, network.device)).tolist()
    return found


def padded(rows: Sequence[Sequence[int]], pad: int, device: Any) -> dict[str, Any]:
    """Rows of token ids as one batch, `pad` filling the shorter ones on the right."""
    import torch

    width = max(map(len, rows))
    ids = [[*row, *[pad] * (width - len(row))] for row in rows]
    mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
    return {
        "input_ids": torch.tensor(ids, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }
