"""The value head of ppo: a linear layer on the last hidden states of a language model, in float32.

It is kept beside the weights in a folder of its own, so that the model or adapter is an ordinary one:

value_head/value_head.safetensors    `weight` [1, d] and `bias` [1], float32
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.errors import ModelError
from burnish.models.bases import Source, folder_of
from burnish.models.weights import broken

if TYPE_CHECKING:
    from torch import nn

HEAD = "value_head"
FILE = Path(HEAD) / f"{HEAD}.safetensors"


def has_value_head(source: Source) -> bool:
    """True if a value head is kept with a model or adapter."""
    return (folder_of(source) / FILE).is_file()


def add_value_head(causal: Any, source: Source | None = None) -> None:
    """Add the head to a causal language model: zeros, or that of `source`.

    Zeros change nothing of the policy's first gradient: neither values nor what their loss sends into the trunk.
    Errors: ModelError `model.unsupported` without an output layer, `model.broken` for a file of other shapes.
    """
    import torch

    output: Any = causal.get_output_embeddings()
    if output is None:
        raise unsupported(causal)
    weight = output.weight
    head = torch.nn.Linear(weight.shape[-1], 1, device=weight.device, dtype=torch.float32)
    with torch.no_grad():
        for name, given in head.named_parameters():
            given.copy_(torch.zeros_like(given) if source is None else _read(source, name, given))
    setattr(causal, HEAD, head)


def unsupported(causal: Any) -> ModelError:
    """The error for a model whose last hidden states cannot be read."""
    return ModelError(
        "model.unsupported",
        f"ppo reads values from the last hidden states, and those of this {causal.config.model_type} model cannot be "
        "computed apart from its logits",
        "use the stage grpo, which needs no values, or a base of another family",
    )


@contextmanager
def without_value_head(causal: Any) -> "Iterator[nn.Module]":
    """The model without its head inside the block, which gets the head."""
    head = getattr(causal, HEAD)
    delattr(causal, HEAD)
    try:
        yield head
    finally:
        setattr(causal, HEAD, head)


def save_value_head(head: "nn.Module", folder: Path) -> None:
    """Write the head into the folder of a model or adapter."""
    from safetensors.torch import save_file

    (folder / FILE).parent.mkdir(exist_ok=True)
    tensors = {name: weight.detach().float().cpu().contiguous() for name, weight in head.named_parameters()}
    save_file(tensors, folder / FILE, metadata={"format": "pt"})


def _read(source: Source, name: str, like: Any) -> Any:
    """A tensor of the head of `source`. Errors: ModelError `model.broken`."""
    from safetensors import SafetensorError, safe_open

    path = folder_of(source) / FILE
    try:
        with safe_open(path, framework="pt") as file:
            found = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise broken(path, f"has no readable {name} ({error})") from error
    if found.shape != like.shape:
        raise broken(path, f"has a {name} of shape {list(found.shape)}, and the model needs {list(like.shape)}")
    return found
