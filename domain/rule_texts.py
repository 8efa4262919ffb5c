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
    "rule-attention-unavailable": ErrorText(
        "`model.attention` {name} cannot compute here: {reason}.", "{advice}.", 5
    ),
    "rule-fp8-unavailable": ErrorText(
        "`precision.fp8` cannot be used here: {reason}.",
        "{advice}.",
    ),
    "rule-s2-group-unused": ErrorText(
        "`model.s2_group` is set, but `model.attention` is {name}.",
        "Use model.attention=s2, or leave model.s2_group out.",
    ),
    "rule-neftune-answers": ErrorText(
        "Stage {stage} measures answers, and noise on the embeddings would change the measure.",
        "Leave model.neftune_alpha out.",
    ),
    "rule-router-loss-dense": ErrorText(
        "`model.router_aux_loss` is set, but `{model}` has no experts.",
        "Leave model.router_aux_loss out.",
    ),
    "rule-router-loss-unknown": ErrorText(
        "The router of `{model}` ({family}) gives no loss that could be added here.",
        "Leave model.router_aux_loss out; the router is trained through its experts.",
    ),
    "rule-router-loss-stage": ErrorText(
        "Stage {stage} has a loss of its own, to which no router's loss is added.",
        "Leave model.router_aux_loss out, or use stage.name=sft or pretrain.",
    ),
    "rule-kernels-unavailable": ErrorText(
        "`model.kernels` {name} cannot be used here: {reason}.", "{advice}.", 5
    ),
    "rule-unsloth-decides": ErrorText(
        "With `model.kernels` unsloth the package loads the model its own way, and these keys "
        "would do nothing: {keys}.",
        "Leave them out, or use model.kernels=none or liger.",
    ),
    "rule-packed-otherwise": ErrorText(
        "The weights of `{model}` are packed by {by} already, and `quantization` asks for {asked} "
        "with options of its own.",
        "Leave `quantization` out: the checkpoint says how its weights are packed.",
    ),
    "rule-packed-unknown": ErrorText(
        "The weights of `{model}` are packed by {by}, over which nothing can be trained here.",
        "Use the model's 16-bit checkpoint, or one packed by aqlm, awq, bitsandbytes or gptq.",
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
    "rule-rope-none": ErrorText(
        "`{model}` has no rotary position embeddings that can be stretched.",
        "Remove model.rope, and keep data.max_tokens within the model's context.",
    ),
    "rule-rope-layered": ErrorText(
        "The layers of `{model}` have rotary position embeddings of several kinds, which one "
        "scaling does not fit.",
        "Remove model.rope, and keep data.max_tokens within the model's context.",
    ),
    "rule-rope-scaled": ErrorText(
        "The rotary position embeddings of `{model}` are scaled already ({type}).",
        "Remove model.rope, or start from the model it was scaled from.",
    ),
    "rule-rope-factor": ErrorText(
        "`model.rope.factor` is {factor}; only a factor above 1 stretches anything.",
        "Leave it out to have it computed, or remove model.rope.",
    ),
    "rule-rope-needless": ErrorText(
        "The longest row has {longest} tokens, which the model's context of {context} holds "
        "already.",
        "Remove model.rope, set data.max_tokens above {context}, or set model.rope.factor.",
    ),
    "rule-new-tokens-frozen": ErrorText(
        "The rows of the new tokens would not learn with method {method} as it is set.",
        "Use method.name=lora with method.extra=[{parts}], or method.name=full.",
    ),
    "rule-unknown-layers": ErrorText(
        "`{model}` has no linear layers called {names}.", "It has {known}; all_linear takes all."
    ),
    "rule-lora-fused": ErrorText(
        "LoRA cannot have {names} of {family}: PEFT takes these names for the fused "
        "weights of all experts.",
        "Leave them out of method.targets, or use method.name=loha, lokr or adalora for them.",
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
    "rule-smoothing-unused": ErrorText(
        "Loss `{loss}` has no label smoothing, so `stage.label_smoothing` would do nothing.",
        "Leave it out, or use one of these losses: {fits}.",
    ),
    "rule-smoothing-needed": ErrorText(
        "Loss `{loss}` needs to know how many pairs may be the wrong way round.",
        "Set stage.label_smoothing, such as 0.001.",
    ),
    "rule-unknown-parts": ErrorText(
        "`{model}` has no part called {names}.",
        "It has {known}.",
    ),
    "rule-no-such-layer": ErrorText(
        "The model has no decoder layer {layers}.",
        "Layers are counted from 0; the last one is {last}.",
    ),
    "rule-odd-rank": ErrorText(
        "init `orthogonal` needs an even rank, not {rank}.",
        "Set method.rank to an even number, or method.init=zero.",
    ),
    "rule-init-rank": ErrorText(
        "init `{init}` finds at most {most} directions in the smallest adapted layer, and the "
        "rank is {rank}.",
        "Set method.rank to at most {most}, or choose larger layers with method.targets.",
    ),
    "rule-packed-needed": ErrorText(
        "Method {method} as asked starts from what quantization lost, but nothing is quantized.",
        "Set quantization.name=bitsandbytes, or method.init=zero.",
    ),
    "rule-packed-adapters": ErrorText(
        "Adapters of the model cannot be merged into weights that quantization {quantizer} packs.",
        "Merge them first with `tune merge` and name the result as model.name, or leave "
        "quantization out.",
    ),
    "rule-start-tokens": ErrorText(
        "The adapter shall start from what the rows say, which takes {needed} trained tokens; "
        "there are {tokens}.",
        "Add rows, lower method.rank, or set method.init=zero.",
    ),
    "rule-foreign-adapters": ErrorText(
        "The model is {model}, and these adapters name another base: {adapters}.",
        "Their shapes fit; make sure that the base is the same, as another one gives other "
        "answers.",
    ),
    "rule-nothing-to-continue": ErrorText(
        "Method continued needs an adapter to go on with, and the model has none.",
        "Name a run or a folder under model.adapters.",
    ),
    "rule-start-rank": ErrorText(
        "Ranks shall shrink from {start} to {rank} on average, which leaves nothing to take away.",
        "Set method.start_rank to more than method.rank.",
    ),
    "rule-quantized-base": ErrorText(
        "Method {method} as asked changes the base weights, which quantization "
        "{quantizer} has packed.",
        "Set method.init to zero, or leave quantization out.",
    ),
    "rule-packed-dora": ErrorText(
        "DoRA measures the base weights, and weights packed by {quantizer} cannot be read for it.",
        "Set method.dora to false, or pack with quantization.name=bitsandbytes.",
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
    "rule-optimizer-one-pass": ErrorText(
        "Optimizer {optimizer} as asked uses gradients up as they arrive, so {passes} passes "
        "cannot make one step.",
        "Set batching.accumulate=1, or use optimizer.name=adamw.",
    ),
    "rule-optimizer-unclipped": ErrorText(
        "Optimizer {optimizer} as asked never has all gradients, so their norm is not known.",
        "Set schedule.max_grad_norm=null, or use optimizer.name=adamw.",
    ),
    "rule-optimizer-unscaled": ErrorText(
        "Optimizer {optimizer} as asked steps within the backward pass, where float16's loss "
        "scaling is not undone yet.",
        "Set precision.dtype=bfloat16 or precision.mode=half, or leave optimizer.layerwise out.",
    ),
    "rule-optimizer-gpu": ErrorText(
        "`optimizer.paged` moves states off an NVIDIA GPU, and this machine has {device}.",
        "Leave optimizer.paged out.",
    ),
    "rule-optimizer-lone-device": ErrorText(
        "Optimizer {optimizer} waits for a process on every visible GPU; this run has one and "
        "there are {count}.",
        "Show it one: CUDA_VISIBLE_DEVICES=0.",
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
