"""Reward model: a value head trained by stage reward scores the answer's last token.

An adapter that was trained over the policy's own base is put on that base beside the policy's
adapter and switched to while it scores (LLaMA-Factory paper, section 4.3), so there is one base in
memory. A model that learned whole is loaded beside the policy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from adapters.models.attaching import ADAPTER, CONFIG, WEIGHTS, adapter_kind, check_adapter
from adapters.models.value_head import FILE, padded, scores
from adapters.rewards import REWARD_ADAPTER, Frozen, Reward, Setting
from adapters.rollouts import Answer
from domain.errors import Place, fail
from domain.fingerprint import Json
from domain.model_handle import ModelHandle
from domain.section import options_of, section


@section
class Options:
    """Options of reward model."""

    model: str
    """A run of stage reward, or a folder with value_head.safetensors beside an adapter or a
    model."""
    weight: float = 1.0
    """What the reward is multiplied by in the sum."""


def check(values: Mapping[str, Json], field: str) -> None:
    """Raises HextuneError where there is no reward model."""
    folder = Path(options_of(Options, values).model)
    whole = (folder / "config.json").is_file()
    adapter = (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()
    if not ((folder / FILE).is_file() and (whole or adapter)):
        raise fail("reward-model-missing", Place(field=f"{field}.model"), name=folder)


def frozen(values: Mapping[str, Json], model: ModelHandle) -> Frozen:
    """The adapter over the model's base, or a whole network; its head is one row more."""
    folder = options_of(Options, values).model
    if not _is_adapter(folder):
        network = _skeleton(folder)
        _check_vocabulary(folder, network.config, model)
        return Frozen(sum(weight.numel() for weight in network.parameters()) + model.hidden)
    check_adapter(folder, model)
    with _opened(Path(folder) / WEIGHTS) as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    return Frozen(sum(prod(shape) for shape in shapes) + model.hidden, shares_base=True)


def build(values: Mapping[str, Json], setting: Setting) -> Reward:
    """Scores token ids, the prompt's and the answer's as the policy saw them."""
    from safetensors.torch import load_file

    folder = options_of(Options, values).model
    head = load_file(Path(folder) / FILE)["weight"].to(setting.network.device)
    if _is_adapter(folder):
        worn = _beside(setting.network, folder)
    else:
        worn = _apart(setting.network, folder)
    pad = end_of(setting.tokenizer)

    def score(answers: Sequence[Answer]) -> list[float]:
        found: list[float] = []
        with worn() as network:
            for at in range(0, len(answers), setting.most_rows):
                rows = [[*a.prompt, *a.tokens] for a in answers[at : at + setting.most_rows]]
                found += scores(network, padded(rows, pad, network.device), head).tolist()
        return found

    return score


def end_of(tokenizer: Any) -> int:
    """The token that fills shorter rows."""
    pad = tokenizer.pad_token_id
    return int(tokenizer.eos_token_id if pad is None else pad)


def _beside(network: Any, folder: str) -> Callable[[], Any]:
    """Puts the adapter on the policy's base; the network wears it as long as a context lasts."""
    mine, theirs = network.peft_config[ADAPTER].peft_type.value, adapter_kind(folder)
    if mine != theirs:
        raise fail("reward-other-kind", name=folder, kind=theirs, policy=mine)
    network.load_adapter(folder, REWARD_ADAPTER, autocast_adapter_dtype=False)

    @contextmanager
    def worn() -> Iterator[Any]:
        learning = [weight for weight in network.parameters() if weight.requires_grad]
        network.set_adapter(REWARD_ADAPTER, inference_mode=True)
        yield network
        network.set_adapter(ADAPTER, inference_mode=True)
        for weight in learning:
            weight.requires_grad_(True)

    return worn


def _apart(policy: Any, folder: str) -> Callable[[], Any]:
    """Loads a network of its own, in the policy's dtype and on its device."""
    from transformers import AutoModelForCausalLM

    dtype = next(policy.parameters()).dtype
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    network = network.requires_grad_(False).eval().to(policy.device)

    @contextmanager
    def worn() -> Iterator[Any]:
        yield network

    return worn


def _is_adapter(folder: str) -> bool:
    return (Path(folder) / CONFIG).is_file()


def _skeleton(folder: str) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))


def _check_vocabulary(folder: str, config: Any, model: ModelHandle) -> None:
    """Token ids mean the same in both models, or they have to be refused."""
    rows = config.get_text_config().vocab_size
    if rows != model.vocabulary:
        place = Place(field="stage.rewards")
        raise fail("reward-vocabulary", place, name=folder, rows=rows, model=model.vocabulary)


def _opened(file: Path) -> Any:
    from safetensors import safe_open

    return safe_open(file, framework="pt")
