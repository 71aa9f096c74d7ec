"""The importance of the columns of a model's weights, on rows of a dataset in the model's own template."""

from itertools import islice
from typing import TYPE_CHECKING

from burnish.core.context import Context, Input
from burnish.core.errors import RunError
from burnish.core.events import Note, Progress
from burnish.data.dataset import is_prepared, open_rows, split_names
from burnish.evals.certificates.rows import held_out_rows, left_out_texts
from burnish.export.gguf.importance import Importance, gather
from burnish.models.device import inference_dtype, pick_device
from burnish.models.load import load_plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def gathered_importance(
    ctx: Context, source: Input, tokenizer: "PreTrainedTokenizerBase", count: int, longest: int
) -> Importance:
    """The importance on the first `count` rows of the input `importance`, `longest` tokens of each.

    Rows that cannot be rendered, and experts that no token reaches, are reported. Errors: those of reading the rows and
    of loading the model; DataError `data.empty`; RunError `run.interrupted`.
    """
    data = ctx.input("importance")
    names = split_names(data) if is_prepared(data.path) else []
    split = "train" if not names or "train" in names else names[0]
    rows, left_out = held_out_rows(tokenizer, islice(open_rows(data, split), count), longest)
    for text in left_out_texts(left_out, data.ref):
        ctx.emit(Note(level="warning", text=text.replace("of the certificate", "of the importance", 1)))

    def progress(done: int, total: int) -> None:
        ctx.emit(Progress(phase="importance", done=done, total=total, unit="rows"))
        if ctx.stopping:
            raise RunError("run.interrupted", f"stopped after {done} of {total} rows of importance", "run it again")

    device = pick_device("auto")
    found = gather(load_plain(source, dtype=inference_dtype(device), device=device), rows, progress)
    if missing := found.sentence():
        ctx.emit(Note(level="warning", text=f"{missing}; all its columns count alike"))
    ctx.emit(Note(text=f"importance of {len(found.values)} weights, on {found.tokens:,} tokens of {found.rows:,} rows"))
    return found
