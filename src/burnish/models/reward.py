"""Reward models: a causal language model with a scalar head, saved as transformers' sequence classifier.

The classifier has the trunk of the language model and a linear layer `score` without bias. It reads the score at the
last token that is not padding: `pad_token_id` in its config, so that token must never end a conversation.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.models.adapters.attach import adapter_weights, load_adapter, save_adapter
from burnish.models.bases import Source, base_of, folder_of, is_adapter
from burnish.models.load import load_classifier, load_plain
from burnish.models.quantization.record import read_quantization
from burnish.models.quiet import quiet_transformers
from burnish.models.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, TensorInfo, read_header, read_json

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

HEAD = "score"
TASK = "SEQ_CLS"
"""PEFT's `task_type` of a reward model's adapter."""
_DEVIATION = 0.02


def add_score_head(causal: "PreTrainedModel") -> None:
    """Add the head `score` to a causal language model, with random weights from torch's generator.

    Errors: ModelError `model.unsupported` for a family whose sequence classifier is not trunk and head.
    """
    import torch

    _classifier_type(causal)
    config = causal.config.get_text_config()
    weight: Any = causal.get_input_embeddings().weight
    head = torch.nn.Linear(config.hidden_size, 1, bias=False, device=weight.device, dtype=weight.dtype)
    if weight.device.type != "meta":
        deviation = getattr(config, "initializer_range", None) or _DEVIATION
        head.weight.data = (torch.randn(1, config.hidden_size) * deviation).to(weight)
    setattr(causal, HEAD, head)


def as_classifier(causal: "PreTrainedModel", pad: int) -> "PreTrainedModel":
    """The sequence classifier that shares trunk and head with a causal language model; `pad` is its padding token."""
    import torch

    config = classifier_config(causal.config, pad)
    with quiet_transformers(), torch.device("meta"):
        classifier = _classifier_type(causal)._from_config(config)
    setattr(classifier, classifier.base_model_prefix, getattr(causal, causal.base_model_prefix))
    setattr(classifier, HEAD, getattr(causal, HEAD))
    return classifier.eval()


def classifier_config(config: "PretrainedConfig", pad: int) -> "PretrainedConfig":
    """The config of the sequence classifier of a causal language model."""
    made = copy.deepcopy(config)
    made.num_labels = 1
    for part in (made, made.get_text_config()):
        part.pad_token_id = pad
    return made


def padding_token(
    config: "PretrainedConfig", tokenizer: "PreTrainedTokenizerBase", last_tokens: set[int]
) -> tuple[int, str]:
    """A padding token that ends no row, and the reason for its choice: the model's, the tokenizer's, or a special one.

    `last_tokens` are the last tokens of all rows. Errors: ModelError `model.broken` where every one ends a row.
    """
    own = [
        (config.get_text_config().pad_token_id, "the model's padding token"),
        (tokenizer.pad_token_id, "the tokenizer's padding token"),
    ]
    special = [(token, "a special token that ends no row") for token in sorted(tokenizer.added_tokens_decoder)]
    for token, reason in own + special:
        if isinstance(token, int) and 0 <= token < config.get_text_config().vocab_size and token not in last_tokens:
            return token, reason
    raise ModelError(
        "model.broken",
        "every special token of the tokenizer ends a row, and a sequence classifier reads its score before padding",
        "add a padding token of its own to the tokenizer",
    )


def save_reward_adapter(model: "PeftModel", folder: Path, base: Input) -> None:
    """Write an adapter with its head `score` as PEFT does for sequence classification."""
    from safetensors.torch import load_file, save_file

    causal: Any = model.get_base_model()
    save_adapter(model, folder, base)
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    tensors[f"base_model.model.{HEAD}.weight"] = getattr(causal, HEAD).weight.detach().float().cpu().contiguous()
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    settings = read_json(folder / ADAPTER_CONFIG)
    settings |= {"task_type": TASK, "modules_to_save": [*(settings.get("modules_to_save") or []), HEAD]}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")


def load_reward_model(
    source: Source, *, dtype: "torch.dtype | None" = None, device: "str | torch.device" = "cpu"
) -> "PreTrainedModel":
    """A sequence classifier with one label, in eval mode: a whole one, or an adapter with its head on its base.

    Errors: those of `load_model`; ModelError `model.unsupported` for another number of labels, `model.wrong-adapter`
    for the adapter of a language model.
    """
    folder = folder_of(source)
    if not is_adapter(folder):
        model = load_classifier(folder, dtype=dtype, device=device)
        if model.config.num_labels != 1:
            what = f"{folder} has {model.config.num_labels} labels, and a reward model has one"
            raise ModelError("model.unsupported", what, "use a model that was trained as a reward model")
        return model
    if not is_reward_adapter(folder):
        what = f"{folder} is the adapter of a language model, and has no head '{HEAD}'"
        raise ModelError("model.wrong-adapter", what, "use a model that was trained as a reward model")
    import torch

    head_tensor(folder)
    base = load_plain(base_of(source), dtype=dtype, device=device, quantization=read_quantization(folder))
    with torch.random.fork_rng(devices=[]):  # for weights that those of the adapter replace
        add_score_head(base)
        causal: Any = load_adapter(base, folder).get_base_model()
    return as_classifier(causal, _saved_padding(folder))


def distance_to_classifier(causal: "PreTrainedModel", pad: int, ids: "list[torch.Tensor]") -> float:
    """The largest difference, relative to the scores, between the head on each row's last token and the classifier.

    The classifier reads the rows as one padded batch, as transformers' users do.
    """
    import torch

    trunk, head = getattr(causal, causal.base_model_prefix), getattr(causal, HEAD)
    classifier: Any = as_classifier(causal, pad)
    was_training = causal.training
    causal.eval()
    try:
        with torch.no_grad():
            alone = torch.cat(
                [head(trunk(input_ids=row[None], use_cache=False).last_hidden_state[0, -1]) for row in ids]
            )
            padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=pad)
            lengths = torch.tensor([len(row) for row in ids], device=padded.device)
            mask = torch.arange(padded.shape[1], device=padded.device)[None] < lengths[:, None]
            together = classifier(input_ids=padded, attention_mask=mask.long(), use_cache=False).logits[:, 0]
    finally:
        causal.train(was_training)
    return float((together.float() - alone.float()).abs().max() / alone.float().abs().max().clamp(min=1e-9))


def is_reward_adapter(folder: Path) -> bool:
    """True for the adapter of a sequence classifier."""
    return read_json(folder / ADAPTER_CONFIG).get("task_type") == TASK


def head_tensor(adapter: Path) -> TensorInfo:
    """The weight of the head in a reward model's adapter. Errors: ModelError `model.wrong-adapter`."""
    for tensor in read_header(adapter_weights(adapter)):
        if tensor.name == f"base_model.model.{HEAD}.weight":
            return tensor
    raise ModelError(
        "model.wrong-adapter",
        f"the adapter {adapter} is of a sequence classifier, and has no weight of a head '{HEAD}'",
        f"save it with modules_to_save: [{HEAD}]",
    )


def merged_config(config: Mapping[str, Any], skeleton: "PreTrainedModel", adapter: Path) -> dict[str, Any]:
    """The config.json of a base with this config as a classifier, which pads as the adapter's tokenizer does."""
    pad = _saved_padding(adapter)
    text = {"text_config": {**config["text_config"], "pad_token_id": pad}} if "text_config" in config else {}
    names = {"architectures": [_classifier_type(skeleton).__name__], "pad_token_id": pad}
    return {**config, **text, **names, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}


def _saved_padding(adapter: Path) -> int:
    from transformers import AutoTokenizer

    tokenizer: Any = None
    if (adapter / "tokenizer_config.json").is_file():
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(adapter, local_files_only=True, trust_remote_code=False)
    if tokenizer is None or not isinstance(tokenizer.pad_token_id, int):
        raise ModelError(
            "model.wrong-adapter",
            f"the adapter {adapter} is of a sequence classifier, and has no tokenizer with a padding token",
            "save the tokenizer of its training beside it",
        )
    return tokenizer.pad_token_id


def _classifier_type(causal: "PreTrainedModel") -> Any:
    """transformers' sequence classifier of the same family. Errors: ModelError `model.unsupported`."""
    import torch
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    family = causal.config.model_type
    if type(causal.config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise _unsupported(family, "transformers has no sequence classifier of this family")
    kind: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(causal.config)]
    with quiet_transformers(), torch.device("meta"):
        made = kind._from_config(classifier_config(causal.config, 0))
    prefix = causal.base_model_prefix
    rest = {name: tuple(weight.shape) for name, weight in made.named_parameters() if not name.startswith(f"{prefix}.")}
    expected = {f"{HEAD}.weight": (1, causal.config.get_text_config().hidden_size)}
    trunks = (getattr(model, prefix, None) for model in (made, causal))
    if made.base_model_prefix != prefix or len(set(map(type, trunks))) != 1 or rest != expected:
        raise _unsupported(family, "its sequence classifier is not the language model's trunk with a linear head")
    return kind


def _unsupported(family: str, why: str) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"a reward model cannot be made of this {family} model: {why}",
        "use a base of another family, such as qwen3, llama or gemma2",
    )
