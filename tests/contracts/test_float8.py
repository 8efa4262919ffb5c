"""Linear layers in 8-bit floats: the head stays as it is, the loss falls, names do not change."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from adapters.models.float8 import in_float8

pytestmark = pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed")


def test_layers_learn_with_rounded_products(tiny_model: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16)
    ids = torch.randint(3, 250, (2, 32))
    names = set(network.state_dict())
    before = network(input_ids=ids, labels=ids).logits
    in_float8(network, emulate=True)
    assert set(network.state_dict()) == names
    assert type(network.lm_head) is torch.nn.Linear
    assert type(network.model.layers[0].self_attn.q_proj) is not torch.nn.Linear
    found = network(input_ids=ids, labels=ids)
    assert not torch.equal(found.logits, before)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        loss = network(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
