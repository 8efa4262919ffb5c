"""AdaLoRA's part of a training loop: ranks move to the layers where they matter most.

PEFT's RankAllocator scores each direction by sensitivity and uncertainty and masks the least
important ones (Zhang et al. 2023, equations 8 to 12). Kept here: when it does so, the pull of A and
B towards orthogonal rows and columns (equation 5), which a trainer that computes its own loss would
miss, and what a resumed run needs.
"""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from adapters.models.attaching import WEIGHTS

FILE = "rank_allocation.pt"


class RankAllocation(TrainerCallback):  # type: ignore[misc]
    """Masks directions after each step, between a first and a last part of the run."""

    def __init__(self, tuned: Any, *, warmup: float, final: float, orthogonality: float) -> None:
        self._network = tuned.base_model.model
        self._allocator = tuned.base_model.rankallocator
        self._warmup, self._final, self._orthogonality = warmup, final, orthogonality
        self._kept: dict[str, list[bool]] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Fit the schedule to the run's steps; take up a resumed run's scores."""
        import torch

        config = self._allocator.peft_config
        config.tinit, config.tfinal = (
            int(share * state.max_steps) for share in (self._warmup, self._final)
        )
        self._allocator.set_total_step(state.max_steps)
        if state.global_step:
            saved = torch.load(_file(args, state), weights_only=True)
            self._allocator.exp_avg_ipt, self._allocator.exp_avg_unc = (
                saved["mean"],
                saved["spread"],
            )
            self._allocator.ipt = saved["last"]
            self._kept = saved["kept"]

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Add the gradient of orthogonality * mean ||A A^T - I|| + ||B^T B - I||."""
        import torch

        distances = []
        for name, weight in self._network.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                square = weight @ weight.T if "lora_A" in name else weight.T @ weight
                distances.append(torch.norm(square - torch.eye(len(square)).to(square)))
        (self._orthogonality * torch.stack(distances).mean()).backward()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Score every direction and mask down to the budget of this step."""
        step, last = state.global_step + 1, state.max_steps - self._allocator.peft_config.tfinal
        if step <= last:
            self._allocator.update_ipt(self._network)
            budget, due = self._allocator.budget_schedule(step)
            if due or step == last:
                self._kept = self._allocator.mask_to_budget(self._network, budget)
        elif self._kept:
            self._allocator.mask_using_rank_pattern(self._network, self._kept)

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Keep the scores with the checkpoint."""
        import torch

        saved = {
            "mean": self._allocator.exp_avg_ipt,
            "spread": self._allocator.exp_avg_unc,
            "last": self._allocator.ipt,
            "kept": self._kept,
        }
        torch.save(saved, _file(args, state))


def _file(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE


def save_as_lora(tuned: Any, folder: str) -> None:
    """Write B diag(E) A as a plain LoRA of E times A, of the largest rank that is left."""
    import torch
    from peft import LoraConfig
    from peft.tuners.adalora import AdaLoraLayer
    from safetensors.torch import save_file

    layers = {
        path: layer
        for path, layer in tuned.base_model.model.named_modules()
        if isinstance(layer, AdaLoraLayer)
    }
    left = {path: layer.lora_E["default"][:, 0] != 0 for path, layer in layers.items()}
    rank = max(1, *(int(kept.sum()) for kept in left.values()))
    state: dict[str, Any] = {}
    for path, layer in layers.items():
        kept = left[path]
        pad = rank - int(kept.sum())
        a_rI = (layer.lora_A["default"] * layer.lora_E["default"])[kept]
        b_Or = layer.lora_B["default"][:, kept]
        state |= {
            f"base_model.model.{path}.lora_A.weight": torch.nn.functional.pad(a_rI, (0, 0, 0, pad)),
            f"base_model.model.{path}.lora_B.weight": torch.nn.functional.pad(b_Or, (0, pad)),
        }
    asked = tuned.peft_config["default"]
    weights = {name: tensor.detach().contiguous() for name, tensor in state.items()}
    save_file(weights, Path(folder) / WEIGHTS)
    LoraConfig(
        r=rank,
        lora_alpha=asked.lora_alpha / asked.init_r * rank,
        lora_dropout=asked.lora_dropout,
        target_modules=asked.target_modules,
        base_model_name_or_path=asked.base_model_name_or_path,
        task_type="CAUSAL_LM",
        inference_mode=True,
    ).save_pretrained(folder)
