"""combine: combine several adapters of one base into one adapter, or merge the result into the base."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import AskError, ModelError, RunError
from burnish.core.events import Note, Progress, Table
from burnish.core.files import write_json
from burnish.core.fingerprint import BASE_RECORD, QUANTIZATION_RECORD, of_model, of_value
from burnish.core.version import VERSION
from burnish.evals.certificates.change import merge_in
from burnish.models.adapters.attach import name_of_base
from burnish.models.bases import Source, folder_of, is_adapter, whole_model
from burnish.models.combining.checks import LARGEST_DEVIATION, Compared, compare
from burnish.models.combining.combine import combine_adapters
from burnish.models.combining.companions import other_companions, write_companions
from burnish.models.combining.fit import common_base, refuse_other_tokenizers, refuse_twice
from burnish.models.combining.kept import KeptLayers
from burnish.models.combining.layers import Layer, Weighted
from burnish.models.combining.methods import METHODS, Settings
from burnish.models.merge import merge_adapter
from burnish.models.quantization.record import read_quantization
from burnish.models.value_head import has_value_head
from burnish.models.weights import ADAPTER_CONFIG, read_json
from burnish.specs.base import short_name
from burnish.specs.models import CombineSpec, WeightedAdapter
from burnish.stages.models.certifying import certify_output
from burnish.stages.models.merge import measures_of, on_base, plain, tell

RECORD = "combination.json"


def run(spec: CombineSpec, ctx: Context) -> Outcome:
    """Write the combined adapter and `combination.json`; with into: base, a plain model."""
    inputs, base, warnings = fitting(spec, ctx)
    adapters = [
        Weighted(name, source.path, entry.weight)
        for (name, source), entry in zip(inputs.items(), spec.adapters, strict=True)
    ]
    method = METHODS[spec.method]
    settings = Settings(method, spec.density, spec.majority_sign, spec.rank or 0)
    seed, is_merged, dtype, shard = spec.seed, spec.into == "base", spec.dtype, spec.max_shard_bytes
    certifies = spec.certify
    ctx.check_settings()
    for text in warnings:
        ctx.emit(Note(level="warning", text=text))

    def progress(phase: str, unit: str, done: int, total: int) -> None:
        ctx.emit(Progress(phase=phase, done=done, total=total, unit=unit))
        if ctx.stopping and done < total:
            raise RunError("run.interrupted", f"stopped after {done} of {total} {unit}", "run it again")

    folder = ctx.scratch / "combined" if is_merged else ctx.out
    shutil.rmtree(ctx.scratch / "combined", ignore_errors=True)
    whole = folder_of(whole_model(base))
    contents = [[of_model(each.folder, {}), each.weight] for each in adapters]
    kept = KeptLayers(ctx.cache, [contents, asdict(settings), seed, version("peft"), version("torch")])
    layers = combine_adapters(
        adapters, whole, folder, settings, seed=seed, kept=kept, progress=partial(progress, "combine", "layers")
    )
    _complete(inputs, base, folder)
    compared = compare(folder, adapters, layers, whole)
    if method.is_sum:
        _refuse_deviation(compared, spec.method)
    record = _record(spec, inputs, layers, compared, read_json(folder / ADAPTER_CONFIG)["r"])
    _report(record, ctx)
    measures = {"rank": record["rank"], "layers": len(layers), "layers_of_some": record["layers_of_some"]}
    measures |= {"deviation": record["deviation"]}
    if is_merged:
        merged = merge_adapter(
            folder,
            plain(base, ctx.scratch / "base", dtype),
            ctx.out,
            dtype=dtype,
            max_shard_bytes=shard,
            progress=partial(progress, "merge", "tensors"),
            measuring=partial(progress, "measure", "tensors"),
        )
        tell(merged, ctx)
        measures |= measures_of(merged)
    write_json(ctx.out / RECORD, record)
    kept.forget()
    if not is_merged:
        return Outcome("adapter", measures, certificate=_certificate(record, inputs))
    if not certifies:
        return Outcome("model", measures)
    parent = on_base(Input(f"{' + '.join(inputs)} ({spec.method})", "adapter", folder), base)
    return Outcome("model", measures, certificate=certify_output(ctx, parent, merge_in(ctx.out)))


def fitting(spec: CombineSpec, ctx: Context) -> tuple[dict[str, Input], Source, list[str]]:
    """The adapters by their names, their base, and warnings: what is known before any work.

    Errors: AskError and ModelError for adapters that cannot be combined.
    """
    inputs = _inputs(spec, ctx)
    refuse_twice(inputs)
    base, warnings = common_base(inputs, ctx.input("base") if spec.base is not None else None)
    refuse_other_tokenizers(inputs)
    warnings += other_companions(inputs, base)
    _refuse_four_bits(inputs, spec.into)
    return inputs, base, [*warnings, *_left_out(inputs)]


def _inputs(spec: CombineSpec, ctx: Context) -> dict[str, Input]:
    """The adapters by their names: the given ones, or those of the references, made distinct."""
    found: dict[str, Input] = {}
    for number, name in enumerate(_distinct(spec.adapters)):
        source = ctx.input(f"adapters.{number}.adapter")
        if not is_adapter(source.path):
            what = f"adapters.{number}: {source.ref} is a {source.kind}, and only adapters are combined"
            raise AskError("ask.wrong-kind", what, "name an adapter")
        found[name] = source
    return found


def _distinct(entries: Sequence[WeightedAdapter]) -> list[str]:
    """The given names, and those of the references with a number where they are taken."""
    given = [entry.name for entry in entries if entry.name]
    names: list[str] = []
    for entry in entries:
        own = short_name(entry.adapter)
        numbered = (own, *(f"{own}-{number}" for number in range(2, 2 + len(entries))))
        names.append(entry.name or next(name for name in numbered if name not in given and name not in names))
    return names


def _refuse_four_bits(inputs: Mapping[str, Input], into: str) -> None:
    name, source = next(iter(inputs.items()))
    if into == "base" and read_quantization(source.path) is not None:
        raise AskError(
            "ask.wrong-value",
            f"the base of {name} was quantized in its training, and into: base would merge into other values",
            "combine into an adapter, then `burnish merge` it, with --into original or dequantized",
        )


def _left_out(inputs: Mapping[str, Input]) -> list[str]:
    """What of the adapters' folders is not combined."""
    heads = [name for name, source in inputs.items() if has_value_head(source)]
    text = f"the value head of {', '.join(heads)} is left out: it belongs to the policy that it was trained with"
    return [text] if heads else []


def _complete(inputs: Mapping[str, Input], base: Source, folder: Path) -> None:
    """Tokenizer and records of the adapters, which agree, and the name of their base."""
    write_companions(inputs, folder)
    for source in reversed(list(inputs.values())):
        for record in (BASE_RECORD, QUANTIZATION_RECORD):
            if (source.path / record).is_file():
                shutil.copyfile(source.path / record, folder / record)
    settings = read_json(folder / ADAPTER_CONFIG) | name_of_base(base)
    (folder / ADAPTER_CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _refuse_deviation(compared: Compared, method: str) -> None:
    layer, deviation = compared.worst
    if deviation > LARGEST_DEVIATION:
        raise ModelError(
            "model.wrong-adapter",
            f"the result of {method} is not the weighted sum of the adapters: '{layer}' deviates by {deviation:.1e}, "
            f"and float32 allows {LARGEST_DEVIATION:.0e}",
            "use method: svd, and report this with the configs of the adapters",
        )


def _record(
    spec: CombineSpec, inputs: Mapping[str, Input], layers: Sequence[Layer], compared: Compared, rank: int
) -> dict[str, Any]:
    """The content of `combination.json`."""
    total, is_sum = compared.total, METHODS[spec.method].is_sum
    layer, largest = compared.worst
    return {
        "method": spec.method,
        "rank": rank,
        "seed": spec.seed,
        "density": spec.density,
        "majority_sign": spec.majority_sign,
        "peft": version("peft"),
        "adapters": [
            {
                "name": name,
                "ref": source.ref,
                "fingerprint": source.fingerprint,
                "weight": entry.weight,
                "layers": sum(layer.changes[number] is not None for layer in layers),
                "kept": total.kept[number],
                "cosine": total.cosine[number],
            }
            for number, ((name, source), entry) in enumerate(zip(inputs.items(), spec.adapters, strict=True))
        ],
        "layers_of_some": sum(None in layer.changes for layer in layers),
        "deviation": total.deviation,
        "check": {"largest": largest, "layer": layer, "limit": LARGEST_DEVIATION, "holds": True} if is_sum else None,
        "layers": {
            name: {"norm": each.norm, "deviation": each.deviation, "kept": each.kept, "cosine": each.cosine}
            for name, each in compared.layers.items()
        },
    }


def _certificate(record: Mapping[str, Any], inputs: Mapping[str, Input]) -> dict[str, Any] | None:
    """That the adapter is the weighted sum of the others; None for a method that gives something else."""
    check = record["check"]
    if check is None:
        return None
    weights = [(each["weight"], name) for each, name in zip(record["adapters"], inputs, strict=True)]
    found = f"{check['largest']:.1e} in '{check['layer']}', the largest of {len(record['layers'])} layers"
    return {
        "change": f"combine {record['method']}",
        "parent": {
            "ref": " + ".join(f"{weight:g}·{name}" for weight, name in weights),
            "fingerprint": of_value([[weight, inputs[name].fingerprint] for weight, name in weights]),
        },
        "child": {"ref": "", "fingerprint": ""},
        "holds": check["holds"],
        "checks": [
            {
                "name": "weighted sum",
                "verdict": "holds" if check["holds"] else "does not hold",
                "found": found,
                "limit": f"{check['limit']:.0e}",
            }
        ],
        "rows": 0,
        "tokens": 0,
        "burnish": VERSION,
    }


def _report(record: Mapping[str, Any], ctx: Context) -> None:
    if check := record["check"]:
        text = "the change of every layer is the weighted sum of the adapters': the largest deviation is "
        ctx.emit(Note(text=f"{text}{check['largest']:.1e} (limit {check['limit']:.0e}), in '{check['layer']}'"))
    if record["layers_of_some"]:
        text = f"{record['layers_of_some']} of {len(record['layers'])} layers are changed by some of the adapters only"
        ctx.emit(Note(text=text))
    rows = [
        [each["name"], f"{each['weight']:g}", str(each["layers"]), f"{each['kept']:.1%}", f"{each['cosine']:.3f}"]
        for each in record["adapters"]
    ]
    columns = ["adapter", "weight", "layers", "kept of its change", "cosine with the result"]
    distance = "" if record["check"] else f", {record['deviation']:.0%} from the weighted sum"
    title = f"{record['method']}: rank {record['rank']}{distance}"
    ctx.emit(Table(title=title, columns=columns, rows=rows))
