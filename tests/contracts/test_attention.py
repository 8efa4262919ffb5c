"""Shifted sparse attention against a reference with an explicit mask."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from adapters.models.hf import HfLoaded
from adapters.models.s2_attention import GROUPS, register_s2, s2_attention
from domain.errors import HextuneError
from domain.precision import PrecisionSection, choose_precision
from domain.run_spec import ModelSection
from entrypoints.container import make_container
from tests.contracts.test_trainer import losses, run, spec_text
from tests.fakes.models import CPU
from tests.fixtures.tiny_families import build_tiny_family


def reference(query: Any, key: Any, value: Any, allowed: Any, group: int | None = None) -> Any:
    """Softmax over an explicit mask for each head; groups by arithmetic on positions."""
    heads, tokens = query.shape[1], query.shape[2]
    key, value = (x.repeat_interleave(heads // x.shape[1], 1) for x in (key, value))
    size, place = group or -(-tokens // GROUPS), torch.arange(tokens)
    output = torch.zeros_like(query)
    for head in range(heads):
        moved = place if head < heads // 2 else place + size - size // 2
        near = (moved // size)[:, None] == (moved // size)[None, :]
        seen = allowed & near & (place[:, None] >= place[None, :])
        scores = query[:, head] @ key[:, head].mT / query.shape[-1] ** 0.5
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        output[:, head] = weights @ value[:, head]
    return output.transpose(1, 2)


@pytest.mark.parametrize("tokens", [8, 13, 32, 37])
@pytest.mark.parametrize("masked", ["no", "padding", "documents"])
@pytest.mark.parametrize("group", [None, 5])
def test_groups_shift_and_masks_are_those_of_the_reference(
    tokens: int, masked: str, group: int | None
) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, heads, tokens, 8) for heads in (4, 2, 2))
    allowed = torch.ones(2, tokens, tokens, dtype=torch.bool)
    real = torch.ones(2, tokens, dtype=torch.bool)
    if masked == "padding":
        real[0, tokens - 3 :] = False
        allowed &= real[:, None, :]
    if masked == "documents":
        document = torch.arange(tokens) // 5
        allowed &= document[:, None] == document[None, :]
    given = (
        None if masked == "no" else (allowed & torch.ones(tokens, tokens).tril().bool())[:, None]
    )
    layer = SimpleNamespace(training=True, is_causal=True, num_key_value_groups=2)
    output, _ = s2_attention(layer, query, key, value, given, group_tokens=group)
    expected = reference(query, key, value, allowed, group)
    assert torch.allclose(output[real], expected[real], atol=1e-5)


def network(folder: Path, attention: str) -> Any:
    register_s2()
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    )


def test_it_is_whole_in_evaluation_and_sparse_in_training(tiny_model: Path) -> None:
    sparse, whole = network(tiny_model, "s2"), network(tiny_model, "sdpa")
    ids = torch.randint(3, 250, (2, 45))
    mask = torch.ones_like(ids)
    mask[0, :6] = 0
    with torch.no_grad():
        for model in (sparse.eval(), whole.eval()):
            model.found = model(input_ids=ids, attention_mask=mask).logits
        assert torch.equal(sparse.found, whole.found)
        trained = sparse.train()(input_ids=ids, attention_mask=mask, use_cache=False).logits
    assert torch.isfinite(trained).all()
    assert not torch.allclose(trained, whole.found, atol=1e-3)


def test_no_token_sees_a_later_one_or_another_document(tiny_model: Path) -> None:
    sparse = network(tiny_model, "s2").train()
    ids = torch.randint(3, 250, (1, 40))
    changed = ids.clone()
    changed[0, 20:] = 5
    places = torch.tensor([[*range(20), *range(20)]])
    with torch.no_grad():
        one, other = (sparse(input_ids=x, use_cache=False).logits for x in (ids, changed))
        assert torch.allclose(one[:, :20], other[:, :20], atol=1e-5)
        changed[0, :20] = 6
        changed[0, 20:] = ids[0, 20:]
        one, other = (
            sparse(input_ids=x, position_ids=places, use_cache=False).logits for x in (ids, changed)
        )
    assert torch.allclose(one[:, 20:], other[:, 20:], atol=1e-5)


def test_checkpointing_changes_no_gradient_and_the_saved_config_names_nothing(
    tiny_model: Path, tmp_path: Path
) -> None:
    ids = torch.randint(3, 250, (1, 40))
    gradients = []
    for checkpointing in (False, True):
        sparse = network(tiny_model, "s2").train()
        if checkpointing:
            sparse.activation_checkpointing_enable({"use_reentrant": False})
        sparse(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        gradients.append(sparse.model.layers[0].self_attn.q_proj.weight.grad)
    assert torch.allclose(*gradients, atol=1e-6)
    sparse.save_pretrained(tmp_path)
    assert '"s2"' not in (tmp_path / "config.json").read_text()
    assert AutoConfig.from_pretrained(tmp_path)._attn_implementation != "s2"


def test_a_lora_run_learns_with_it_packed_or_not(
    tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    container = make_container(str(tmp_path / "runs"))
    for packing in (False, True):
        text = spec_text(
            tiny_model,
            rows_file,
            batching={"per_device": 2, "packing": packing},
        )
        asked = ("model.attention=s2", "model.gradient_checkpointing=true")
        planned = container.plan_run()(replace(text, overrides=asked))
        _, events = run(container, planned, tmp_path / str(packing))
        assert losses(events)[6] < losses(events)[1]
        decisions = {decision.key: decision.value for decision in planned.plan.decisions}
        assert decisions["attention"] == planned.model.attention == "s2"


def test_a_kernel_that_cannot_work_here_is_refused_before_loading(
    tiny_model: Path, rows_file: Path, tmp_path: Path
) -> None:
    text = spec_text(tiny_model, rows_file)
    text = replace(text, overrides=("model.attention=flash_attention_3",))
    with pytest.raises(HextuneError) as caught:
        make_container(str(tmp_path)).plan_run()(text)
    assert [problem.code for problem in caught.value.problems] == ["rule-attention-unavailable"]


def test_the_group_of_a_spec_reaches_the_layers(tiny_model: Path) -> None:
    """A group as long as the sequence is whole attention; a shorter one is not."""
    ids = torch.randint(3, 250, (1, 40))
    backend = make_container().models()
    policy = choose_precision(PrecisionSection(mode="full"), CPU)
    outputs = {}
    for group in (None, 8, 40):
        section = ModelSection(name=str(tiny_model), attention="s2", s2_group=group)
        loaded = backend.load(section, policy, None)
        assert isinstance(loaded, HfLoaded)
        with torch.no_grad():
            outputs[group] = loaded.network.train()(input_ids=ids, use_cache=False).logits
            whole = loaded.network.eval()(input_ids=ids).logits
    assert torch.allclose(outputs[40], whole, atol=1e-5)
    assert not torch.allclose(outputs[8], whole, atol=1e-3)
    assert not torch.allclose(outputs[8], outputs[None], atol=1e-3)


def test_s2_is_refused_where_layers_do_not_take_a_kernel(rows_file: Path, tmp_path: Path) -> None:
    model = build_tiny_family("bloom", tmp_path / "bloom")
    text = replace(spec_text(model, rows_file), overrides=("model.attention=s2",))
    with pytest.raises(HextuneError, match="this model can use only eager"):
        make_container(str(tmp_path)).plan_run()(text)
