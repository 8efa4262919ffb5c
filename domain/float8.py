"""Training in 8-bit floats: matrix products of linear layers in e4m3, their gradients in e5m2.

Source: Micikevicius et al. 2022, "FP8 formats for deep learning"; NVIDIA GPUs multiply them from
compute capability 8.9 on. Weights, their gradients and the optimizer keep the plan's dtypes.
"""

from domain.hardware import DeviceKind
from domain.rule_context import Facts, Rule, RuleContext

LEAST_CAPABILITY = (8, 9)


def obstacle(c: RuleContext) -> tuple[str, str] | None:
    """(why `precision.fp8` cannot be used here, what to do), or None where it can."""
    hardware = c.hardware
    if hardware.kind is not DeviceKind.CUDA:
        return f"it needs an NVIDIA GPU, and this is {hardware.name}", "Leave it out here"
    if (hardware.compute_capability or (0, 0)) < LEAST_CAPABILITY:
        return f"{hardware.name} multiplies no 8-bit floats; compute capability 8.9 does", (
            "Leave it out here"
        )
    if c.precision.compute != "bfloat16":
        return f"the rest of the run would compute in {c.precision.compute}", (
            "Use precision.dtype=bfloat16"
        )
    if c.packer is not None:
        return f"the weights are packed by {c.packer}", "Leave one of the two out"
    if c.trainer is not None and c.trainer.adapter_based:
        return f"method {c.spec.method.name} leaves the weights it is for alone", (
            "Use method.name=full or freeze"
        )
    if "torchao" not in c.versions:
        return "it needs the package torchao", "pip install 'hextune[torchao]'"
    return None


def _unavailable(c: RuleContext) -> Facts | None:
    why = obstacle(c) if c.spec.precision.fp8 else None
    return {"reason": why[0], "advice": why[1]} if why else None


FLOAT8_RULE = Rule(id="rule-fp8-unavailable", field="precision.fp8", breach=_unavailable)
