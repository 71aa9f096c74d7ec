"""What burnish does with every causal family that transformers can build small: the rows of docs/reference/families.md.

`python tests/family_table.py` writes the page; a test computes the rows again and holds the page true.
"""

import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import torch

from burnish.core.errors import BurnishError
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.engines.ways import plain_generation
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.models.quiet import quiet_transformers
from burnish.specs.evals import GenerationSpec
from burnish.specs.train import LoraSpec
from burnish.testing import input_at
from burnish.train.batches import TokenisedRows, make_batch
from burnish.train.scoring import Scorer
from families import BUILDABLE, UNBUILDABLE, build, save, token_ids

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "families.md"
LENGTHS, PROMPTS, ANSWER = (5, 40), (3, 30, 11), 5
EVERY = sorted({*BUILDABLE, *UNBUILDABLE})
WAYS = {
    ("burnish", "padded"): "yes",
    ("model", "padded"): "yes, own cache",
    ("burnish", "equal"): "yes, equal lengths",
    ("model", "equal"): "yes, own cache, equal lengths",
    ("model", "single"): "yes, one prompt at a time",
}


@dataclass(frozen=True)
class Row:
    """One line of the table; a cell is `yes`, or what is done instead, or `no: ` and the reason."""

    family: str
    loads: str
    full: str
    lora: str
    packs: str
    generates: str
    merges: str

    def line(self) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in astuple(self)) + " |"


def row(family: str) -> Row:
    """Try everything with that family. Errors: AssertionError where burnish is wrong; whatever crashes, crashes."""
    if family in UNBUILDABLE:
        return Row(family, f"not built here: {UNBUILDABLE[family]}", *["–"] * 5)
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        base = save(family, Path(folder) / "base")
        loads = _cell(lambda: _loads(base, family))
        if loads != "yes":
            return Row(family, loads, *["–"] * 5)
        full, packs = _trains(build(family).requires_grad_(True), build(family).requires_grad_(True))
        lora, merges = _adapts(Path(folder), base, family)
        return Row(family, loads, full, lora, packs, _cell(lambda: _generates(family)), merges)


def _cell(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except BurnishError as error:
        return _reason(error)


def _reason(error: BurnishError) -> str:
    """The reason in an error, without the paths, names and addresses that differ from run to run."""
    what = re.sub(r"\S*/\S* ?", "", error.what)
    return "no: " + what.rpartition(" here: ")[2].rpartition("language model: ")[2].partition(". ")[0][:110]


def _loads(base: Path, family: str) -> str:
    ids = token_ids(2, 9)
    with torch.no_grad():
        loaded, made = (model(input_ids=ids, use_cache=False).logits for model in (load_model(base), build(family)))
    torch.testing.assert_close(
        loaded, made, rtol=1e-5, atol=1e-5, msg=f"{family}: what is loaded is not what was saved"
    )
    return "yes"


def _trains(model: Any, plain: Any) -> tuple[str, str]:
    """Whether the gradient of burnish's loss is that of transformers' own, and whether rows are packed."""
    try:
        scorer = Scorer(model)
    except BurnishError as error:
        return _reason(error), "–"
    ids = [token_ids(1, length, seed=length)[0].numpy() for length in LENGTHS]
    rows = TokenisedRows.of((str(number), row, row * 0 + 1) for number, row in enumerate(ids))
    every = torch.arange(len(rows)).numpy()
    alone = [make_batch(rows, every[number : number + 1]) for number in every.tolist()]
    batches = [make_batch(rows, every)] if scorer.packs else alone
    ours = _gradients(model, torch.stack([scorer(batch, 1.0)[0] for batch in batches]).sum())
    own = [plain(input_ids=batch.input_ids, use_cache=False).logits[0, batch.positions].float() for batch in alone]
    targets = torch.cat([batch.targets for batch in alone])
    theirs = _gradients(plain, torch.nn.functional.cross_entropy(torch.cat(own), targets, reduction="sum"))
    error = float((ours - theirs).norm() / theirs.norm())
    assert error < 1e-4, f"{model.config.model_type}: the gradient is off by {error:.2g}"
    return "yes", _packs(scorer)


def opened(family: str) -> tuple[str, str, str]:
    """The cells `trains`, `packs` and `generates`, as the model answers when it is opened: seconds less than `row`."""
    with quiet_transformers():
        try:
            trains, packs = "yes", _packs(Scorer(build(family).requires_grad_(True)))
        except BurnishError as error:
            trains, packs = _reason(error), "–"
        return trains, packs, _cell(lambda: _way(TransformersEngine(build(family), _Numbers())))


def _packs(scorer: Scorer) -> str:
    return "yes" if scorer.packs else f"one by one: {scorer.reason[:90]}"


def _way(engine: TransformersEngine) -> str:
    return WAYS[engine._way.inputs, engine._way.batch]


def _gradients(model: Any, loss: torch.Tensor) -> torch.Tensor:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    parts = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]
    return torch.cat([part.flatten() for part in parts])


def _adapts(folder: Path, base: Path, family: str) -> tuple[str, str]:
    """Whether default LoRA trains, and whether the trained adapter merges to the same logits."""

    def adapted() -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = attach_lora(build(family), LoraSpec(rank=4)).eval()
            for name, weight in model.named_parameters():
                if (weight.requires_grad and "lora_B" in name) or "lora_embedding_A" in name:
                    torch.nn.init.normal_(weight, std=0.05)  # at its start an adapter's A gets no gradient
        return model

    try:
        model, plain = adapted(), adapted()
        trained, _ = _trains(model, plain)
    except BurnishError as error:
        return _reason(error), "–"
    if trained != "yes":
        return trained, "–"

    def merges() -> str:
        save_adapter(plain, folder / "adapter", input_at(base))
        merge_adapter(folder / "adapter", base, folder / "merged")
        ids = token_ids(2, 9)
        with torch.no_grad():
            expected = plain(input_ids=ids, use_cache=False).logits
            merged = load_model(folder / "merged")(input_ids=ids, use_cache=False).logits
        assert (merged - expected).norm() < 1e-4 * expected.norm(), f"{family}: the merged model is another"
        return "yes"

    return trained, _cell(merges)


def _generates(family: str) -> str:
    """In which way answers are those of transformers' `generate` for each prompt alone."""
    model: Any = build(family)
    model.generation_config.eos_token_id = None
    engine = TransformersEngine(model, _Numbers())
    prompts = [token_ids(1, length, seed=length)[0].tolist() for length in PROMPTS]
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        with plain_generation(model), torch.no_grad():
            found = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=ANSWER)
        expected.append(found[0, len(prompt) :].tolist())
    spec = GenerationSpec(max_new_tokens=ANSWER, batch_size=len(prompts))
    answers = [answer.ids for answer in engine.generate(prompts, spec, ())]
    assert answers == expected, f"{family}: the answers are not those of generate"
    return _way(engine)


class _Numbers:
    """A tokenizer whose text is the ids."""

    def decode(self, ids: Any, **_: Any) -> str:
        return " ".join(map(str, ids))


def page(rows: list[Row]) -> str:
    """The page of these rows."""
    lines = [INTRODUCTION, "| family | loads | trains | default LoRA | packs | generates | merges |"]
    return "\n".join([*lines, "| --- " * 7 + "|", *(row.line() for row in rows), ""])


INTRODUCTION = """<!-- Made by tests/family_table.py; change the code, then run `make families`. -->
# Model families

Every family of causal language models that transformers knows, built small with random weights and compared with
transformers itself. A test holds this page true.

- **loads**: a saved model loads to the same logits.
- **trains**, **default LoRA**: the gradient of burnish's loss is that of transformers' own loss, for all weights and
  for the adapter that is attached by default. Rows are longer than every window and chunk of the model.
- **packs**: several rows share a batch. *one by one*: a batch holds one row, with the reason; slower, and as exact.
- **generates**: greedy answers to prompts of unequal lengths are those of `transformers.generate` for each prompt
  alone. *own cache*: the model prepares its own inputs and cache. *equal lengths*: only prompts of one length share a
  batch. *one prompt at a time*: none do.
- **merges**: the merged adapter gives the logits of base and adapter.

*no* is an error with that reason when the model is opened, before any work is done.
"""


def main() -> None:
    torch.set_num_threads(1)
    wanted = sys.argv[1:]
    rows = [row(family) for family in EVERY if not wanted or family in wanted]
    if wanted:
        print("\n".join(found.line() for found in rows))
    else:
        PAGE.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
