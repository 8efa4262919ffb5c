"""What every template of the catalogue promises; the tests hold it to this table."""

from dataclasses import dataclass

from tests.templates.chats import EOS

ALWAYS = "always"
WITH_SYSTEM = "with a system text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """The promises of one template."""

    end: str
    """What follows an answer's text and is trained with it."""
    last_end: str = ""
    """The same for the last answer, where it differs."""
    system: bool = True
    """A system text is rendered; otherwise it is refused."""
    rounds: bool = True
    """More than one question is rendered; otherwise it is refused."""
    alternates: bool = False
    """Two questions in a row are refused."""
    tools: bool = False
    """Tool definitions, calls and results are rendered; otherwise they are refused."""
    unstable: str = ""
    """When a longer conversation does not extend a shorter one."""
    tools_unstable: bool = False
    """Definitions stand before the last question only."""
    trims: bool = False
    """White space around texts is dropped."""


def _eos(**promises: bool) -> Format:
    return Format(end=EOS, **promises)  # type: ignore[arg-type]


IM_END = Format(end="<|im_end|>")
CHATML_TOOLS = Format(end="<|im_end|>", tools=True)
EOT = Format(end="<|eot_id|>", trims=True)
PHI3 = Format(end="<|end|>")
MISTRAL_V3 = Format(end=EOS, tools=True, alternates=True, unstable=WITH_SYSTEM, tools_unstable=True)
MISTRAL_V7 = Format(end=EOS, tools=True, alternates=True, tools_unstable=True)
KIMI = Format(end="<|im_end|>")

FORMATS = {
    "alpaca": _eos(),
    "atom": Format(end="\n" + EOS, system=False),
    "baichuan": _eos(system=False),
    "baichuan2": _eos(),
    "bloom": _eos(),
    "bluelm": _eos(system=False),
    "breeze": _eos(alternates=True),
    "chatglm2": _eos(system=False, alternates=True),
    "chatglm3": Format(end="<|user|>"),
    "chatml": IM_END,
    "command_r": Format(end="<|END_OF_TURN_TOKEN|>", alternates=True, trims=True),
    "deepseek_coder": Format(end="\n<|EOT|>"),
    "deepseek_llm": _eos(),
    "deepseek_r1": Format(end=EOS, unstable=ALWAYS),
    "deepseek_v3": _eos(),
    "empty": _eos(),
    "ernie4_5": Format(end="<|end_of_sentence|>"),
    "exaone": Format(end="[|endofturn|]"),
    "falcon": _eos(),
    "gemma": Format(end="<end_of_turn>", system=False, alternates=True, trims=True),
    "gemma3": Format(end="<end_of_turn>", alternates=True, trims=True),
    "glm4": Format(end="<|user|>", tools=True),
    "gpt_oss": Format(end="<|end|>", last_end="<|return|>", unstable=ALWAYS),
    "granite3": Format(end="<|end_of_text|>", tools=True),
    "granite4": Format(end="<|end_of_text|>", tools=True),
    "granite_code": _eos(),
    "h2o_danube": _eos(),
    "hermes3": IM_END,
    "hunyuan": Format(end="<|eos|>"),
    "index": _eos(),
    "internlm": Format(end="<eoa>", system=False),
    "internlm2": IM_END,
    "kimi_k2": KIMI,
    "llama2": Format(end=" " + EOS, alternates=True, trims=True),
    "llama2_zh": Format(end=" " + EOS, alternates=True, trims=True),
    "llama3": EOT,
    "llama3_1": Format(end="<|eot_id|>", tools=True, trims=True),
    "llama3_2_vision": Format(end="<|eot_id|>"),
    "llama4": Format(end="<|eot|>", tools=True),
    "llava": _eos(alternates=True),
    "megrez": Format(end="<|turn_end|>"),
    "minicpm": _eos(system=False, alternates=True, trims=True),
    "minimax1": Format(end="<end_of_sentence>"),
    "mistral_nemo": MISTRAL_V3,
    "mistral_v1": _eos(alternates=True),
    "mistral_v3": MISTRAL_V3,
    "mistral_v7": MISTRAL_V7,
    "mistral_v7_tekken": MISTRAL_V7,
    "moonlight": KIMI,
    "nemotron_mini": _eos(trims=True),
    "olmo": _eos(system=False),
    "olmo2": _eos(),
    "openchat3_5": Format(end="<|end_of_turn|>"),
    "openchat3_6": EOT,
    "opencoder": IM_END,
    "orion": _eos(system=False, alternates=True),
    "paligemma": _eos(system=False, rounds=False),
    "phi2": _eos(system=False),
    "phi3": PHI3,
    "phi3_small": PHI3,
    "phi4": IM_END,
    "phi4_mini": PHI3,
    "qwen": IM_END,
    "qwen1_5": IM_END,
    "qwen2_5": CHATML_TOOLS,
    "qwen2_vl": IM_END,
    "qwen3": Format(end="<|im_end|>", tools=True, unstable=ALWAYS),
    "qwen3_instruct": CHATML_TOOLS,
    "sailor": IM_END,
    "seed_oss": _eos(),
    "skywork": Format(end="[SEP]" + EOS, system=False, rounds=False),
    "smollm2": IM_END,
    "solar": _eos(),
    "starchat": PHI3,
    "telechat": Format(end="<_end>", system=False),
    "tulu": _eos(),
    "vicuna": _eos(alternates=True),
    "xuanyuan": _eos(alternates=True),
    "xverse": _eos(system=False),
    "yuan2": Format(end="<eod>", system=False, rounds=False),
    "zephyr": _eos(),
    "ziya": _eos(system=False),
}
