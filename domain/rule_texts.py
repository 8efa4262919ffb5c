"""The texts of broken rules: message and hint; see `domain.error_texts`."""

from collections.abc import Mapping

from domain.error_text import ErrorText

RULE_TEXTS: Mapping[str, ErrorText] = {
    "rule-one-length": ErrorText(
        "`schedule.epochs` and `schedule.max_steps` are both set.",
        "Keep the one that shall end the run.",
    ),
    "rule-one-warmup": ErrorText(
        "`schedule.warmup_ratio` and `schedule.warmup_steps` are both set.", "Keep one."
    ),
    "rule-one-holdout": ErrorText(
        "`data.eval` and `data.eval_fraction` are both set.",
        "Hold out a fraction of the training rows, or name files, not both.",
    ),
    "rule-stream-needs-steps": ErrorText(
        "`data.streaming` is set, but not how many steps to train.",
        "A stream has no end: set schedule.max_steps, and leave schedule.epochs out.",
    ),
    "rule-stream-holdout": ErrorText(
        "`data.eval_fraction` needs all rows at once, and `data.streaming` never has them.",
        "Name held-out files under data.eval.",
    ),
    "rule-stream-length": ErrorText(
        "`batching.group_by_length` needs all rows at once, and `data.streaming` never has them.",
        "Set batching.packing=true to waste as little, or leave group_by_length out.",
    ),
    "rule-stream-sample": ErrorText(
        "`num_samples` of {source} shall be drawn at random, which needs all rows at "
        "once; `data.streaming` never has them.",
        "Set sample: first for this source.",
    ),
    "rule-answers-apart": ErrorText(
        "Stage {stage} compares or judges answers, so its rows can be neither packed nor "
        "grouped by length.",
        "Leave batching.packing and batching.group_by_length out.",
    ),
    "rule-eval-needs-data": ErrorText(
        "`tracking.eval_every_steps` is set, but there are no rows to evaluate on.",
        "Set data.eval_fraction=0.05, or name files under data.eval.",
    ),
    "rule-full-precision-dtype": ErrorText(
        "`precision.mode` full means float32, but `precision.dtype` is {dtype}.",
        "Use precision.mode=half or mixed with {dtype}.",
    ),
    "rule-half-needs-16-bit": ErrorText(
        "`precision.mode` {mode} needs a 16-bit dtype, not float32.",
        "Use precision.dtype=bfloat16, or precision.mode=full.",
    ),
    "rule-dtype-unsupported": ErrorText(
        "{device} does not compute in {dtype}.", "Leave precision.dtype=auto here: {advice}."
    ),
    "rule-quantized-needs-adapter": ErrorText(
        "The method `{method}` would train quantized weights, which have no gradient.",
        "Use method.name=lora over the quantized model, or remove `quantization`.",
    ),
    "rule-quantized-full-precision": ErrorText(
        "Weights quantized by `{quantizer}` compute in 16 bits, not in float32.",
        "Use precision.mode=mixed and precision.dtype=bfloat16.",
    ),
    "rule-too-long-for-model": ErrorText(
        "`data.max_tokens` {asked} exceeds the model's context of {context} tokens.",
        "Use data.max_tokens={context} or less.",
    ),
    "rule-unknown-layers": ErrorText(
        "`{model}` has no linear layers called {names}.", "It has {known}; all_linear takes all."
    ),
    "rule-no-layer-list": ErrorText(
        "{architecture} has no list of decoder layers, which this method needs.",
        "Use method.name=lora or method.name=full.",
    ),
    "rule-too-many-layers": ErrorText(
        "{asked} layers shall learn, but the model has {layers}.",
        "Set method.layers to at most {layers}.",
    ),
    "rule-uneven-layers": ErrorText(
        "New layers cannot be spread evenly over {layers} layers.",
        "Set method.new_layers to one of {fits}.",
    ),
    "rule-no-identity-layers": ErrorText(
        "New layers of {architecture} do not pass their input on unchanged, so llama_pro "
        "would damage the model.",
        "Use method.name=lora or method.name=freeze.",
    ),
    "rule-init-variant": ErrorText(
        "init `{init}` cannot be saved as plain LoRA together with `{variant}`.",
        "Leave one of the two out.",
    ),
    "rule-block-size": ErrorText(
        "Blocks of {size} do not divide layers of {inputs} inputs.",
        "Set method.block_size to a divisor of each.",
    ),
    "rule-quantized-base": ErrorText(
        "Method {method} as asked changes the base weights, which quantization "
        "{quantizer} has packed.",
        "Set method.init to zero, or leave quantization out.",
    ),
    "rule-optimizer-whole-weights": ErrorText(
        "Optimizer {optimizer} saves memory on whole weight matrices; method {method} "
        "trains small adapters.",
        "Set optimizer.name=adamw, or method.name=full or freeze.",
    ),
    "rule-optimizer-constant-rate": ErrorText(
        "Optimizer {optimizer} stands for a learning-rate schedule, but `{scheduler}` "
        "would run beside it.",
        "Set schedule.scheduler=constant.",
    ),
    "rule-no-chat-template": ErrorText(
        "The tokenizer of `{model}` has no chat template.",
        "Name one with model.template (`tune list templates`), or use a chat model of its family.",
    ),
    "rule-does-not-fit": ErrorText(
        "The run needs about {needed} of memory, and {device} has {available}.",
        "The cheapest remedies: {remedies}.",
        5,
    ),
    "rule-tight-memory": ErrorText(
        "The run needs about {needed} of memory, and {free} is free on {device} now.",
        "Close other programs, or lower batching.per_device.",
        5,
    ),
    "rule-lost-updates": ErrorText(
        "A learning rate of {rate} mostly vanishes in {dtype} weights.",
        "Use precision.mode=mixed, which keeps trained weights in float32.",
    ),
    "rule-media-packing": ErrorText(
        "Rows with images, videos or audio cannot be packed.",
        "Set batching.packing=false; batching.group_by_length=true wastes less padding.",
    ),
    "rule-too-few-rows": ErrorText(
        "{rows} training rows are left, too few for one batch step.",
        "Add rows, or raise data.max_tokens: {dropped} rows were dropped as too long.",
    ),
}
