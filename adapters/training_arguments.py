"""transformers' TrainingArguments, every relevant field set from the spec and the plan.

TRL's own defaults turn bfloat16 and gradient checkpointing on; nothing is left to a default here
that would change what was asked.
"""

from pathlib import Path
from typing import Any

from domain.hardware import DeviceKind
from ports.trainer import TrainRequest

SCHEDULERS = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""transformers' names; its own `constant` passes over the warm-up."""


def training_arguments(request: TrainRequest) -> dict[str, Any]:
    """Keyword arguments of any TrainingArguments class."""
    spec, plan = request.spec, request.plan
    mixed = plan.precision.mode == "mixed"
    evaluates = bool(request.data.eval)
    every = spec.tracking.eval_every_steps
    length = (
        {"max_steps": spec.schedule.max_steps}
        if spec.schedule.max_steps is not None
        else {"num_train_epochs": plan.steps.epochs}
    )
    return {
        **length,
        "output_dir": str(Path(request.folder) / "checkpoints"),
        "per_device_train_batch_size": spec.batching.per_device,
        "per_device_eval_batch_size": spec.batching.per_device,
        "gradient_accumulation_steps": spec.batching.accumulate,
        "train_sampling_strategy": "group_by_length" if spec.batching.group_by_length else "random",
        "lr_scheduler_type": SCHEDULERS[spec.schedule.scheduler],
        "warmup_steps": plan.steps.warmup_steps,
        "max_grad_norm": spec.schedule.max_grad_norm or 0.0,
        "use_cpu": plan.hardware.kind is DeviceKind.CPU,
        "bf16": mixed and plan.precision.compute == "bfloat16",
        "fp16": mixed and plan.precision.compute == "float16",
        "neftune_noise_alpha": spec.model.neftune_alpha,
        "use_liger_kernel": spec.model.kernels == "liger",
        "activation_checkpointing": spec.model.gradient_checkpointing,
        "activation_checkpointing_kwargs": {"use_reentrant": False},
        "seed": spec.seed,
        "data_seed": spec.seed,
        "logging_steps": spec.tracking.log_every_steps,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "eval_strategy": "steps" if evaluates and every else "no",
        "eval_steps": every,
        "eval_on_start": evaluates and not request.resume,
        "prediction_loss_only": True,
        "save_strategy": "steps",
        "save_steps": spec.output.checkpoint_every_steps,
        "save_total_limit": None,  # older ones go once the newer one is whole
        "dataloader_pin_memory": plan.hardware.kind is DeviceKind.CUDA,
        "disable_tqdm": True,
        "report_to": [],
    }
