"""Which vendor template each catalogue template is compared with, and where the two differ.

Every difference named here is asserted to exist, every other conversation to be equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.templates.chats import CHATS, EOS
from tests.templates.formats import FORMATS


@dataclass(frozen=True, slots=True)
class Pair:
    """A catalogue template and a vendor's of the same format."""

    template: str
    source: str
    """tokenizer, gguf, golden or mistral-common."""
    reference: str
    differs: Mapping[str, str] = field(default_factory=dict)
    """Reason by conversation; several conversations are separated by commas."""
    tools: bool = False
    """Tools are compared too."""
    eos: str = EOS
    """The end token that the vendor's template writes out."""

    @property
    def chats(self) -> list[str]:
        """The conversations that both sides are rendered with."""
        names = [name for name in CHATS if self.tools or not name.startswith("tool")]
        # Mistral's library encodes requests only, and a request ends with a question
        return [n for n in names if self.source != "mistral-common" or CHATS[n].ask]

    def reasons(self) -> dict[str, str]:
        """The reason of every conversation that differs."""
        return {
            chat: reason
            for chats, reason in self.differs.items()
            for chat in (self.chats if chats == "all" else chats.split(", "))
        }


NO_END = "the vendor writes no end token after an answer; ours does, so that it is learnt"
NO_LAST_END = "the vendor leaves the last answer open; ours ends it, so that the end is learnt"
EXTRA_END = "the vendor adds the end of text after the last turn, which a longer chat has not"
ALWAYS_ASKS = "the vendor opens the next answer even where none is asked for"
NO_SYSTEM = "the vendor drops the system text without a word"
EMPTY_LEFT_OUT = "the vendor leaves an empty system text out"
OWN_DEFAULT = "this release has another default system text"
NO_BOS = "the recorded template has no begin token"
LAST = "answered"
SYSTEMS = "system, empty system"
NO_SYSTEM_CHATS = "single, multi, unicode, answered"
ROUNDS = "multi, system, unicode, answered"

DEEPSEEK = "<｜end▁of▁sentence｜>"
THINKS = "ours opens an answer with <think>, as the model card asks; this template does not"
V3_SPACES = "this recording has spaces that mistral-common's tokens have not"
OLD_V1 = "an older recording: no space around the turns, no system text"


def _pairs(template: str, source: str, *references: str, tools: bool = False) -> list[Pair]:
    return [Pair(template, source, reference, tools=tools) for reference in references]


def _differs(pair: Pair, differs: Mapping[str, str]) -> Pair:
    return replace(pair, differs=differs)


EQUAL = [
    *_pairs("bloom", "golden", "bloom", "gpt2"),
    *_pairs("chatml", "gguf", "dolphin-mixtral:8x7b", "llava:34b", "yi-coder:1.5b"),
    *_pairs("chatml", "golden", "teknium/OpenHermes-2.5-Mistral-7B"),
    *_pairs("command_r", "tokenizer", "aya_expanse", "command_r_plus"),
    *_pairs("command_r", "gguf", "aya-expanse:8b", "aya:35b", "command-r:35b"),
    *_pairs("command_r", "gguf", "command-r-plus:104b"),
    *_pairs("command_r", "golden", "CohereForAI/c4ai-command-r-plus"),
    *_pairs("deepseek_coder", "gguf", "deepseek-coder:1.3b"),
    *_pairs("deepseek_coder", "golden", "deepseek-ai/deepseek-coder-33b-instruct"),
    *_pairs("deepseek_llm", "gguf", "deepseek-coder-v2:16b"),
    *_pairs("deepseek_llm", "golden", "deepseek-ai/deepseek-llm-7b-chat", "DeepSeek-V2"),
    *_pairs("deepseek_v3", "tokenizer", "deepseek_v3"),
    Pair("deepseek_v3", "gguf", "deepseek-v3:671b", eos=DEEPSEEK),
    *_pairs("exaone", "gguf", "exaone3.5:7.8b"),
    *_pairs("gemma", "tokenizer", "gemini"),
    *_pairs("gemma", "gguf", "gemma2:2b"),
    *_pairs("gemma3", "tokenizer", "gemma3"),
    *_pairs("gemma3", "gguf", "gemma3:270m"),
    *_pairs("granite3", "gguf", "granite3-dense:2b"),
    *_pairs("granite3", "golden", "ibm-granite/granite-3.0-8b-instruct"),
    *_pairs("granite4", "gguf", "granite4:latest", tools=True),
    *_pairs("h2o_danube", "golden", "h2oai/h2o-danube-1.8b-chat"),
    *_pairs("hermes3", "gguf", "hermes3:70b"),
    *_pairs("internlm2", "tokenizer", "internlm2"),
    *_pairs("internlm2", "gguf", "internlm2:1.8b", "nous-hermes2-mixtral:8x7b"),
    *_pairs("llama2", "gguf", "llama2:7b"),
    *_pairs("llama2", "golden", "llama"),
    *_pairs("llama3", "tokenizer", "llama3_1"),
    *_pairs("llama3", "gguf", "llama3:8b"),
    *_pairs("llama3_1", "tokenizer", "llama3_2", tools=True),
    *_pairs("llama3_1", "gguf", "llama3.1:8b", "llama3.2:3b", tools=True),
    *_pairs("llama3_1", "golden", "meta-llama/Llama-3.1-8B-Instruct", tools=True),
    *_pairs("llama3_2_vision", "gguf", "llama3.2-vision:latest"),
    *_pairs("llama3_2_vision", "golden", "meta-llama/Llama-3.2-11B-Vision-Instruct"),
    *_pairs("llama4", "gguf", "llama4:latest", tools=True),
    *_pairs("megrez", "golden", "Infinigence/Megrez-3B-Instruct"),
    *_pairs("mistral_v1", "gguf", "mixtral:8x7b"),
    Pair(
        "mistral_v1",
        "golden",
        "mistralai/Mistral-7B-Instruct-v0.2 (mistralai 'v1' template with a system prompt)",
    ),
    *_pairs("mistral_v3", "gguf", "mixtral:8x22b"),
    *_pairs("mistral_v7", "gguf", "mistral-large:123b"),
    Pair("mistral_v7", "golden", "mistralai/Mistral-Large-Instruct-2411 (mistralai 'v7' template)"),
    *_pairs("mistral_v7_tekken", "gguf", "mistral-small:24b"),
    *_pairs("olmo2", "gguf", "olmo2:7b"),
    *_pairs("openchat3_5", "gguf", "openchat:7b"),
    *_pairs("openchat3_5", "golden", "openchat/openchat-3.5-0106"),
    *_pairs("opencoder", "gguf", "opencoder:8b"),
    *_pairs("phi4", "gguf", "phi4:14b"),
    *_pairs("phi4", "golden", "phi-4"),
    *_pairs("qwen", "gguf", "qwen2:0.5b", "stable-code:3b"),
    *_pairs("qwen1_5", "tokenizer", "qwen1_5"),
    *_pairs("qwen2_5", "tokenizer", "qwen2_5", tools=True),
    *_pairs("qwen2_5", "golden", "Qwen/Qwen2.5-7B-Instruct", tools=True),
    *_pairs("qwen2_vl", "gguf", "qwen2.5vl:latest"),
    *_pairs("qwen2_vl", "golden", "Qwen/Qwen2.5-VL-7B-Instruct"),
    *_pairs("qwen3", "tokenizer", "qwen3", "minicpm_v4_5", tools=True),
    *_pairs("qwen3", "gguf", "qwen3:0.6b", tools=True),
    *_pairs("qwen3", "golden", "Qwen/Qwen3-0.6B", tools=True),
    *_pairs("smollm2", "gguf", "smollm2:135m"),
    *_pairs("tulu", "gguf", "tulu3:70b"),
    *_pairs("zephyr", "gguf", "tinyllama:1.1b"),
    *_pairs("zephyr", "golden", "HuggingFaceH4/zephyr-7b-beta (add_generation_prompt=true)"),
]

MISTRAL_EMPTY = {"empty system": EMPTY_LEFT_OUT}
UNQUOTED = {"tool calls": "the vendor's Jinja leaves a result unquoted, mistral-common quotes it"}
ROLE_END = "an answer ends with the next turn's role token, which ours writes after the last too"
V2_CALLS = "tokenizer v2 drops earlier calls and results; ours is v3's"
BRACES = "this release doubles the braces of the instruction by mistake"
DIFFERENT = [
    _differs(Pair("chatglm3", "tokenizer", "chatglm3"), {LAST: ROLE_END}),
    _differs(Pair("chatglm3", "golden", "ChatGLM3"), {LAST: ROLE_END}),
    _differs(Pair("chatml", "gguf", "yi:6b"), {SYSTEMS: "the vendor writes the system text bare"}),
    _differs(Pair("deepseek_r1", "gguf", "deepseek-r1:latest", eos=DEEPSEEK), {"all": THINKS}),
    _differs(
        Pair("deepseek_r1", "golden", "deepseek-ai/DeepSeek-R1", eos=DEEPSEEK), {"all": THINKS}
    ),
    _differs(
        Pair("deepseek_v3", "gguf", "deepseek-v2.5:236b", eos=DEEPSEEK),
        {SYSTEMS: "this release has stray spaces before the begin token"},
    ),
    _differs(
        Pair("falcon", "gguf", "falcon2:11b"),
        {"all": "this release breaks the line after `Falcon:` and writes no end token"},
    ),
    _differs(Pair("gemma", "golden", "google/gemma-7b-it"), {NO_SYSTEM_CHATS: NO_BOS}),
    _differs(Pair("glm4", "gguf", "glm4:9b"), {"empty system": EMPTY_LEFT_OUT, LAST: ROLE_END}),
    _differs(
        Pair("glm4", "golden", "ChatGLM4"),
        {"all": "this recording breaks the line after <|assistant|>; the vendor's GGUF does not"},
    ),
    _differs(
        Pair("granite4", "gguf", "granite4:350m"),
        {"single, multi, empty system, unicode, answered": OWN_DEFAULT},
    ),
    _differs(Pair("granite_code", "gguf", "granite-code:3b"), {ROUNDS: NO_END}),
    _differs(Pair("internlm2", "golden", "internlm/internlm2-chat-7b"), {LAST: EXTRA_END}),
    _differs(Pair("llama3", "tokenizer", "llama3"), {LAST: ALWAYS_ASKS}),
    _differs(Pair("llama3", "gguf", "dolphin-llama3:8b"), {LAST: ALWAYS_ASKS}),
    _differs(Pair("llama3", "golden", "Llama-3"), {LAST: ALWAYS_ASKS}),
    _differs(
        Pair("minicpm", "golden", "MiniCPM-3B-OpenHermes-2.5-v2-GGUF"),
        {"all": f"{NO_END}; the begin token is added by the vendor's chat code"},
    ),
    _differs(Pair("mistral_nemo", "tokenizer", "mistral_nemo", tools=True), UNQUOTED),
    _differs(
        Pair("mistral_nemo", "golden", "mistralai/Mistral-Nemo-Instruct-2407", tools=True),
        UNQUOTED,
    ),
    _differs(Pair("mistral_nemo", "mistral-common", "v3 tekken", tools=True), MISTRAL_EMPTY),
    _differs(Pair("mistral_v1", "golden", "mistralai/Mixtral-8x7B-Instruct-v0.1"), {"all": OLD_V1}),
    _differs(Pair("mistral_v1", "mistral-common", "v1"), MISTRAL_EMPTY),
    _differs(
        Pair(
            "mistral_v3", "golden", "mistralai/Mistral-7B-Instruct-v0.3 (JSON Schema)", tools=True
        ),
        {"all": V3_SPACES},
    ),
    _differs(
        Pair("mistral_v3", "mistral-common", "v2", tools=True),
        {**MISTRAL_EMPTY, "tool calls": V2_CALLS},
    ),
    _differs(Pair("mistral_v3", "mistral-common", "v3", tools=True), MISTRAL_EMPTY),
    _differs(Pair("mistral_v7", "mistral-common", "v7", tools=True), MISTRAL_EMPTY),
    _differs(Pair("mistral_v7_tekken", "gguf", "devstral:latest"), {NO_SYSTEM_CHATS: OWN_DEFAULT}),
    _differs(Pair("nemotron_mini", "gguf", "nemotron-mini:4b"), {ROUNDS: NO_END}),
    _differs(Pair("orion", "golden", "OrionStarAI/Orion-14B-Chat"), {SYSTEMS: NO_SYSTEM}),
    _differs(Pair("phi3", "gguf", "phi3:3.8b"), {LAST: EXTRA_END}),
    _differs(Pair("phi3", "gguf", "phi3:14b"), {SYSTEMS: NO_SYSTEM}),
    _differs(
        Pair("phi3", "gguf", "phi3.5:3.8b"), {"empty system": EMPTY_LEFT_OUT, LAST: EXTRA_END}
    ),
    _differs(
        Pair("phi3", "golden", "Phi-3-mini"),
        {"all": "an older recording with the begin token and without system texts"},
    ),
    _differs(Pair("phi3", "golden", "Phi-3-medium"), {SYSTEMS: NO_SYSTEM}),
    _differs(Pair("phi3_small", "golden", "Phi-3-small"), {LAST: EXTRA_END}),
    _differs(Pair("phi4_mini", "gguf", "phi4-mini:3.8b"), {LAST: EXTRA_END}),
    _differs(Pair("qwen1_5", "gguf", "qwen:0.5b"), {LAST: NO_LAST_END}),
    _differs(Pair("qwen1_5", "golden", "Qwen/Qwen1.5-72B-Chat"), {LAST: NO_LAST_END}),
    _differs(Pair("qwen2_5", "gguf", "qwen2.5:0.5b", tools=True), {"tools, tool calls": BRACES}),
    _differs(
        Pair("solar", "golden", "upstage/SOLAR-10.7B-Instruct-v1.0"),
        {ROUNDS: NO_END, "empty system": EMPTY_LEFT_OUT},
    ),
    _differs(
        Pair("tulu", "gguf", "llama-pro:latest"),
        {SYSTEMS: NO_SYSTEM, LAST: "this release breaks the line after the last answer"},
    ),
    _differs(
        Pair("vicuna", "golden", "eachadea/vicuna-13b-1.1"),
        {"all": "this recording sets the turns on lines of their own; FastChat's has spaces"},
    ),
]

PAIRS = sorted((*EQUAL, *DIFFERENT), key=lambda pair: (pair.template, pair.source))
UNCOMPARED = sorted(set(FORMATS) - {pair.template for pair in PAIRS})
"""Templates of which no vendor's Jinja was at hand: written from the model card alone."""
