"""reference: compute the log-probabilities of judged answers under a reference model, for dpo and kto."""

import numpy as np

from burnish.core import fingerprint
from burnish.core.context import Context, Outcome
from burnish.core.errors import DataError
from burnish.data.dataset import open_rows, split_names
from burnish.models.bases import tokenizer_folder
from burnish.models.load import load_plain
from burnish.models.quantization.layers import quantization_of
from burnish.specs.preferences import ReferenceSpec
from burnish.specs.train import TrainSpec
from burnish.stages.tokens.rendering import LABELS, PAIRS, Layout, RowRenderer
from burnish.stages.tokens.tokenising import tokenised_split
from burnish.stages.train.log_probs import KIND, write_log_probs
from burnish.stages.train.training import config_of, resolve_run
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.refusals import wrong_kind
from burnish.train.checkpoints.state import TrainState
from burnish.train.passes import ForwardPasses
from burnish.train.reference import reference_log_probs
from burnish.train.resolve import Machine, refuse_without_device
from burnish.train.scoring import Scorer

_SPLITS = ("train", "validation")


def run(spec: ReferenceSpec, ctx: Context) -> Outcome:
    """Score every row of the train and validation splits; write a table of log-probabilities."""
    refuse_without_device(spec.device, Machine.here())
    data, model = ctx.input("data"), ctx.input("model")
    tokenizer = load_tokenizer(tokenizer_folder(model))
    renderer, layout = RowRenderer(tokenizer, spec.render), _layout_of(ctx)
    processes = None if spec.threads == "auto" else spec.threads
    rows = {
        split: tokenised_split(renderer, data, split, ctx, layout=layout, processes=processes).rows
        for split in split_names(data)
        if split in _SPLITS
    }
    rows = {split: found for split, found in rows.items() if len(found)}
    if not rows:
        raise DataError(
            "data.nothing-learned", f"no answer of {data.ref} has a token", "look at the rows: burnish inspect"
        )
    ctx.release_input("data")
    largest = max(rows.values(), key=lambda found: int(found.lengths.max()))
    settings = TrainSpec(
        data=spec.data,
        micro_batch_tokens=spec.micro_batch_tokens,
        dtype=spec.dtype,
        device=spec.device,
        threads=spec.threads,
        gradient_checkpointing=False,
    )
    resolved = resolve_run(settings, ctx, config_of(model), largest, None, trains_all=False)
    ctx.check_settings()
    loaded = load_plain(model, dtype=resolved.dtype, device=resolved.device).requires_grad_(False)
    longest = max(int(found.sequence_lengths.max()) for found in rows.values())
    scorer = Scorer(loaded, spec.attention, longest, width=layout.width)
    state = TrainState(micro_batch_tokens=resolved.micro_batch_tokens)
    passes = ForwardPasses(scorer, state, emit=ctx.emit, is_stopping=lambda: ctx.stopping)
    found = []
    for split, data_of_split in rows.items():
        origin = fingerprint.of_value(
            {"model": model.content, "rows": data_of_split.digest(), "dtype": str(resolved.dtype)}
        )
        log_probs = reference_log_probs(
            lambda: passes,
            np.arange(len(data_of_split)),
            lambda keys, of=data_of_split: (of, keys),
            layout.width,
            [ctx.scratch / "reference" / split],
            origin,
        )
        found.append((split, data_of_split, log_probs))
    in_four_bits = quantization_of(loaded)
    kind = None if in_four_bits is None else in_four_bits.kind
    write_log_probs(ctx.out, found, model, tokenizer, str(resolved.dtype).removeprefix("torch."), kind)
    tokens = sum(of.learned for of in rows.values())
    total = sum(float(log_probs.values.sum(dtype=np.float64)) for _, _, log_probs in found)
    measures = {f"{split}_rows": len(of) for split, of in rows.items()}
    return Outcome(KIND, measures | {"tokens": tokens, "log_prob_per_token": round(total / tokens, 6)})


def _layout_of(ctx: Context) -> Layout:
    """Pairs or labelled answers, by the first row. Errors: DataError `data.unknown-format`, `data.empty`."""
    data = ctx.input("data")
    for split in split_names(data):
        for row in open_rows(data, split):
            for layout in (PAIRS, LABELS):
                if row["kind"] in layout.kinds:
                    return layout
            raise wrong_kind(row["kind"], (*PAIRS.kinds, *LABELS.kinds)).at(row["source"])
    raise DataError("data.empty", f"{data.ref} has no rows", "check the path")
