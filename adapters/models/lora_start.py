"""Ways for LoRA's matrices to start that look at the weights or at rows.

LoftQ (Li et al. 2023): with Q what is left of W after packing, A and B are the best rank-r
approximation of W - Q, so that the packed model with its adapter starts near the unpacked one.
EVA (Paischer et al. 2024): A is made of the directions in which a layer's inputs vary most, found
by a principal component analysis over training rows.

Shapes: O outputs, I inputs, r rank, T tokens.
"""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from domain.masking import IGNORED, EncodedRow
from domain.model_handle import ModelHandle

EVA_TOKENS_PER_RANK = 2
"""Trained tokens in each batch that EVA analyses, for each dimension it looks for."""
EVA_BATCHES = 256
"""Batches it goes around at most; most layers need fewer."""


def converting_save(tuned: Any) -> Callable[[str], None]:
    """Saves an adapter minus how it started, which is right over the untouched base.

    PEFT subtracts the starting adapter, read from a folder; a resumed run starts from the same one,
    as the seed is set before.
    """
    start = tempfile.mkdtemp(prefix="hextune-start-")
    weakref.finalize(tuned, shutil.rmtree, start, ignore_errors=True)
    config = tuned.peft_config["default"]
    asked, config.init_lora_weights = config.init_lora_weights, True
    tuned.save_pretrained(start)
    config.init_lora_weights = asked

    def save(folder: str) -> None:
        tuned.save_pretrained(folder, path_initial_model_for_weight_conversion=start)

    return save


def start_from_packing_error(tuned: Any, model: ModelHandle) -> None:
    """LoftQ: let A and B of every layer make up for what packing lost. Reads the model again."""
    import torch
    from peft.tuners.lora import LoraLayer
    from peft.utils.integrations import dequantize_module_weight

    from adapters.models.hf import load_network

    whole = load_network(model, dtype="float32")
    with torch.no_grad():
        for path, layer in tuned.base_model.model.named_modules():
            if not isinstance(layer, LoraLayer):
                continue
            packed_OI = dequantize_module_weight(layer.get_base_layer()).float()
            lost_OI = whole.get_submodule(path).weight.to(packed_OI) - packed_OI
            rank = layer.r["default"]
            left_OM, values_M, right_MI = torch.linalg.svd(lost_OI, full_matrices=False)
            root_r = (values_M[:rank] / layer.scaling["default"]).sqrt()
            layer.lora_A["default"].weight.copy_(root_r[:, None] * right_MI[:rank])
            layer.lora_B["default"].weight.copy_(left_OM[:, :rank] * root_r)


def start_from_inputs(tuned: Any, rank: int, rows: Sequence[EncodedRow]) -> None:
    """EVA: take every A from the principal directions of its layer's inputs over `rows`."""
    from peft import initialize_lora_eva_weights

    batches = _batches(rows, EVA_TOKENS_PER_RANK * rank, tuned.device)
    initialize_lora_eva_weights(tuned, list(islice(batches, EVA_BATCHES)), show_progress_bar=False)


def _batches(rows: Sequence[EncodedRow], least_tokens: int, device: Any) -> Iterator[Any]:
    """Rows in batches of at least so many trained tokens, padded; a smaller rest is left out."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    waiting: list[EncodedRow] = []
    tokens = 0
    for row in rows:
        waiting.append(row)
        tokens += sum(label != IGNORED for label in row.labels)
        if tokens < least_tokens:
            continue
        ids = [torch.tensor(each.input_ids, device=device) for each in waiting]
        labels = [torch.tensor(each.labels, device=device) for each in waiting]
        yield {
            "input_ids": pad_sequence(ids, batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(each) for each in ids], True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }
        waiting, tokens = [], 0
