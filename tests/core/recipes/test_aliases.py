"""Names of settings in other tools: each leads to the setting of burnish, or to why there is none."""

import pytest

from burnish.core.catalog import stages
from burnish.core.errors import AskError
from burnish.core.recipes.aliases import ALIASES, DIFFERS, NOT_NEEDED, ON_REWARDS
from burnish.core.recipes.recipe import recipe_of
from burnish.core.recipes.validation import all_specs, make_spec
from burnish.specs.data import PrepareSpec
from burnish.specs.train import SftSpec


@pytest.mark.parametrize(
    ("theirs", "hint"),
    [
        ("cutoff_len", "burnish calls it render.max_length"),
        ("lora_rank", "burnish calls it method.rank"),
        ("per_device_train_batch_size", "burnish calls it batch_size"),
        ("save_steps", "burnish calls it checkpoint.every"),
        ("packing", "burnish always packs"),
        ("rank", "it is method.rank"),
        ("learning_rat", "did you mean 'learning_rate'?"),
    ],
)
def test_names_of_other_tools_and_nested_names_are_known(theirs, hint):
    with pytest.raises(AskError) as caught:
        make_spec(SftSpec, {"base": "hub:a/b", "data": "step:x", theirs: 1}, lambda _: "")
    assert caught.value.fix.startswith(hint)


def test_every_alias_points_to_an_existing_setting():
    known = {
        f"{prefix}{key}"
        for row in stages().values()
        for prefix, spec in all_specs(row.spec_type())
        for key in spec.__pydantic_fields__
    }
    assert set(ALIASES.values()) | {ours for ours, _ in ON_REWARDS.values()} <= known
    assert ALIASES.keys() & NOT_NEEDED.keys() == {"max_completion_length"}  # grpo has it, preferences do not
    assert DIFFERS.keys() <= ALIASES.keys()
    own = {name for name in known if "." not in name}
    assert not own & NOT_NEEDED.keys()


TRAINER_FIELDS = """
learning_rate num_train_epochs max_steps per_device_train_batch_size gradient_accumulation_steps warmup_steps
lr_scheduler_type weight_decay adam_beta1 adam_beta2 adam_epsilon optim max_grad_norm max_length packing padding_free
eval_packing pad_to_multiple_of assistant_only_loss completion_only_loss gradient_checkpointing bf16 fp16 logging_steps
logging_strategy eval_steps eval_strategy per_device_eval_batch_size save_steps save_strategy save_total_limit
load_best_model_at_end metric_for_best_model greater_is_better seed data_seed output_dir report_to run_name
resume_from_checkpoint dataset_num_proc dataset_text_field dataloader_num_workers remove_unused_columns push_to_hub
shuffle_dataset truncation_mode do_train
"""
PEFT_FIELDS = "r lora_alpha lora_dropout target_modules modules_to_save use_dora use_rslora target_parameters"
LLAMA_FACTORY_FIELDS = """
model_name_or_path finetuning_type lora_rank lora_target additional_target template cutoff_len dataset val_size
overwrite_output_dir preprocessing_num_workers neat_packing mask_history train_on_prompt flash_attn trust_remote_code
max_samples overwrite_cache dataloader_num_workers plot_loss save_only_model ddp_timeout eval_dataset streaming
adapter_name_or_path tokenized_path deepspeed enable_liger_kernel use_unsloth disable_gradient_checkpointing
upcast_layernorm pure_bf16 include_num_input_tokens_seen predict_with_generate
"""
AXOLOTL_FIELDS = """
base_model adapter sequence_len sample_packing pad_to_sequence_len eval_sample_packing lora_r lora_target_modules
lora_modules_to_save peft_use_dora peft_use_rslora micro_batch_size num_epochs optimizer lr_scheduler
cosine_min_lr_ratio train_on_inputs train_on_eos val_set_size datasets dataset_processes excess_length_strategy
early_stopping_patience flash_attention evals_per_epoch saves_per_epoch model_type tokenizer_type strict tf32
dataset_prepared_path lora_model_dir lora_target_linear wandb_project wandb_entity wandb_watch wandb_name
wandb_log_model loss_watchdog_threshold loss_watchdog_patience special_tokens xformers_attention fsdp fsdp_config
gradient_checkpointing_kwargs hub_model_id eval_table_size eval_max_new_tokens save_safetensors test_datasets
dataset_exact_deduplication
"""


@pytest.mark.parametrize(
    "name",
    sorted({*" ".join([TRAINER_FIELDS, PEFT_FIELDS, LLAMA_FACTORY_FIELDS, AXOLOTL_FIELDS]).split()}),
)
def test_a_common_setting_of_another_tool_is_known_or_said_to_be_not_needed(name):
    known = {
        f"{prefix}{key}"
        for stage in ("prepare", "sft", "tokenizer")
        for prefix, spec in all_specs(stages()[stage].spec_type())
        for key in spec.__pydantic_fields__
    }
    assert name in known or ALIASES.get(name) in known or name in NOT_NEEDED


NAMES_OF_OTHER_TOOLS = {
    "render.max_length": ("cutoff_len", "max_seq_length", "max_seq_len", "max_length", "sequence_len"),
    "render.chat_template": ("template", "chat_template"),
    "render.train_on": ("train_on_inputs", "train_on_prompt", "assistant_only_loss", "completion_only_loss"),
    "epochs": ("num_train_epochs", "num_epochs"),
    "learning_rate": ("lr",),
    "method.rank": ("lora_r", "lora_rank", "r"),
    "method.alpha": ("lora_alpha",),
    "method.dropout": ("lora_dropout",),
    "method.targets": ("lora_target", "lora_target_modules", "target_modules", "lora_target_linear"),
    "method.train_fully": ("modules_to_save", "additional_target", "lora_modules_to_save"),
    "method.dora": ("use_dora", "peft_use_dora"),
    "method.rslora": ("use_rslora", "peft_use_rslora"),
    "method.kind": ("finetuning_type", "adapter", "load_in_4bit", "load_in_8bit", "quantization_bit"),
    "method.quantization": ("bnb_4bit_quant_type", "quantization_type"),
    "method.double_quantization": ("bnb_4bit_use_double_quant", "use_bnb_nested_quant"),
    "batch_size": (
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "train_batch_size",
        "micro_batch_size",
    ),
    "base": (
        *("model_name_or_path", "base_model", "model", "model_revision"),
        *("adapter_name_or_path", "lora_model_dir"),
    ),
    "data": ("dataset", "datasets", "train_dataset", "eval_dataset", "test_datasets"),
    "schedule.warmup": ("warmup_ratio", "warmup_steps"),
    "schedule.kind": ("lr_scheduler_type", "lr_scheduler"),
    "optimizer.weight_decay": ("weight_decay",),
    "optimizer.kind": ("optim",),
    "optimizer.beta1": ("adam_beta1",),
    "optimizer.beta2": ("adam_beta2",),
    "optimizer.eps": ("adam_epsilon",),
    "checkpoint.every": ("save_steps",),
    "checkpoint.keep": ("save_total_limit",),
    "log_every": ("logging_steps",),
    "eval_every": ("eval_steps",),
    "early_stop.patience": ("early_stopping_patience",),
    "keep_best": ("load_best_model_at_end",),
    "resume": ("resume_from_checkpoint",),
    "dtype": ("bf16", "fp16", "torch_dtype", "bnb_4bit_compute_dtype"),
    "track": ("report_to",),
    "method.experts": ("target_parameters", "lora_target_parameters"),
    "schedule.final": ("min_lr_ratio", "cosine_min_lr_ratio"),
    "eval_rows": ("max_eval_samples",),
    "gradient_checkpointing": ("activation_checkpointing", "disable_gradient_checkpointing"),
    "early_stop.min_delta": ("early_stopping_threshold",),
    "seed": ("data_seed",),
    "shuffle": ("shuffle_dataset",),
    "render.over_length": ("truncation_mode", "excess_length_strategy"),
    "router_aux_loss_coef": ("moe_aux_loss_coef",),
    "device": ("use_cpu",),
    "neftune_alpha": ("neftune_noise_alpha", "noisy_embedding_alpha"),
    "method.layers": ("freeze_trainable_layers",),
    "method.modules": ("freeze_trainable_modules", "freeze_extra_modules", "unfrozen_parameters"),
    "method.new_tokens": ("add_tokens", "tokens", "trainable_token_indices", "peft_trainable_token_indices"),
    "method.new_special_tokens": ("add_special_tokens", "new_special_tokens_config"),
    "method.lora_plus": ("loraplus_lr_ratio",),
    "method.init": ("init_lora_weights", "peft_init_lora_weights", "pissa_init", "pissa_iter"),
    "attention": (
        *("flash_attn", "flash_attention", "attn_implementation"),
        *("xformers_attention", "sdp_attention", "eager_attention"),
    ),
    "schedule": ("lr_scheduler_kwargs",),
}
"""What LLaMA-Factory, Axolotl, TRL and transformers call a setting of sft."""


NAMES_FOR_JUDGED_ROWS = {
    ("dpo", "beta"): ("pref_beta", "dpo_beta"),
    ("kto", "beta"): ("kto_beta",),
    ("orpo", "beta"): ("orpo_alpha",),
    ("simpo", "beta"): ("cpo_beta",),
    ("dpo", "loss"): ("pref_loss", "loss_type"),
    ("dpo", "sft_weight"): ("pref_ftx", "rpo_alpha", "loss_weights"),
    ("simpo", "sft_weight"): ("cpo_alpha",),
    ("simpo", "gamma"): ("simpo_gamma", "gamma_beta_ratio"),
    ("dpo", "label_smoothing"): ("dpo_label_smoothing", "label_smoothing_factor"),
    ("dpo", "length_normalised"): ("dpo_norm_loss", "average_log_prob"),
    ("kto", "desirable_weight"): ("kto_chosen_weight", "kto_desirable_weight"),
    ("kto", "undesirable_weight"): ("kto_rejected_weight", "kto_undesirable_weight"),
    ("combine", "method"): ("combination_type", "merge_method"),
    ("combine", "rank"): ("svd_rank",),
    ("combine", "majority_sign"): ("majority_sign_method",),
    ("dpo", "reference"): ("ref_model", "ref_model_name_or_path", "reference_model"),
    ("dpo", "reference_log_probs"): ("precompute_ref_log_probs",),
    ("reward", "center_coefficient"): ("center_rewards_coefficient",),
    ("grpo", "group_size"): ("num_generations",),
    ("grpo", "generation.max_new_tokens"): ("max_completion_length",),
    ("grpo", "passes"): ("num_iterations",),
    ("grpo", "mini_batches"): ("steps_per_generation",),
    ("grpo", "batch_size"): ("generation_batch_size",),
    ("grpo", "rewards"): ("reward_funcs", "reward_weights"),
    ("grpo", "clip_low"): ("epsilon", "cliprange"),
    ("grpo", "generation"): ("generation_kwargs",),
    ("dpo", "method"): ("peft_config",),
    ("dpo", "optimizer"): ("optimizers",),
    ("dpo", "shuffle"): ("train_sampling_strategy",),
    ("grpo", "clip_high"): ("epsilon_high",),
    ("grpo", "advantage_scale"): ("scale_rewards",),
    ("grpo", "importance"): ("importance_sampling_level",),
    ("grpo", "mask_truncated"): ("mask_truncated_completions",),
    ("grpo", "unbiased_kl"): ("use_bias_correction_kl",),
    ("grpo", "max_engine_ratio"): ("vllm_importance_sampling_clip_max", "vllm_importance_sampling_correction"),
    ("grpo", "kl_coefficient"): ("kl_coef",),
    ("grpo", "kl_estimator"): ("kl_penalty",),
    ("ppo", "base"): ("sft_model_path",),
    ("ppo", "clip_low"): ("cliprange",),
    ("ppo", "clip_value"): ("cliprange_value",),
    ("ppo", "value_coefficient"): ("vf_coef",),
    ("ppo", "gae_lambda"): ("lam",),
    ("ppo", "passes"): ("num_ppo_epochs", "ppo_epochs"),
    ("ppo", "mini_batches"): ("num_mini_batches",),
    ("ppo", "whiten_rewards"): ("ppo_whiten_rewards",),
    ("ppo", "missing_end_penalty"): ("missing_eos_penalty",),
    ("ppo", "generation.max_new_tokens"): ("response_length",),
    ("ppo", "max_steps"): ("total_episodes",),
    ("ppo", "rewards"): ("reward_model", "reward_model_path"),
}


@pytest.mark.parametrize(("stage", "ours"), NAMES_FOR_JUDGED_ROWS)
def test_the_names_that_other_tools_have_for_a_setting_of_a_preference_or_reward_training_lead_to_it(
    refused, stage, ours
):
    for theirs in NAMES_FOR_JUDGED_ROWS[stage, ours]:
        needed = {"rewards": [{"kind": "number"}]} if stage in ("grpo", "ppo") else {}
        needed |= {"adapters": [{"adapter": "step:a", "weight": 1}] * 2} if stage == "combine" else {"data": "step:x"}
        error = refused(stages()[stage].spec_type(), {"base": "hub:a/b", **needed, theirs: 1})
        differs = f", {DIFFERS[theirs]}" if theirs in DIFFERS else ""
        assert (error.what, error.fix) == (f"unknown key '{theirs}'", f"burnish calls it {ours}{differs}")


@pytest.mark.parametrize("theirs", ON_REWARDS)
def test_a_name_that_means_something_else_in_a_training_on_rewards_leads_to_its_setting(refused, theirs):
    ours, differs = ON_REWARDS[theirs]
    given = {"base": "hub:a/b", "data": "step:x", "rewards": [{"kind": "number"}], theirs: 1}
    error = refused(stages()["grpo"].spec_type(), given)
    assert (error.what, error.fix) == (f"unknown key '{theirs}'", f"burnish calls it {ours}, {differs}")


@pytest.mark.parametrize("ours", NAMES_OF_OTHER_TOOLS)
def test_the_names_that_other_tools_have_for_a_setting_lead_to_it(refused, ours):
    for theirs in NAMES_OF_OTHER_TOOLS[ours]:
        error = refused(SftSpec, {"base": "hub:a/b", "data": "step:x", theirs: 1})
        differs = f", {DIFFERS[theirs]}" if theirs in DIFFERS else ""
        assert (error.what, error.fix) == (f"unknown key '{theirs}'", f"burnish calls it {ours}{differs}")


@pytest.mark.parametrize("theirs", ["per_device_train_batch_size", "micro_batch_size", "gradient_accumulation_steps"])
def test_a_batch_of_other_tools_is_multiplied_out(refused, theirs):
    fix = "burnish calls it batch_size, the rows of one optimizer step: rows per device × accumulated steps × devices"
    assert refused(SftSpec, {"base": "hub:a/b", "data": "step:x", theirs: 2}).fix == fix


@pytest.mark.parametrize("theirs", ["val_size", "val_set_size", "test_size"])
def test_a_setting_of_another_stage_is_named(refused, theirs):
    fix = f"burnish calls it {ALIASES[theirs]}, a setting of another stage"
    assert refused(SftSpec, {"base": "hub:a/b", "data": "step:x", theirs: 2}).fix == fix


@pytest.mark.parametrize(
    ("theirs", "ours"), [("val_size", "validation"), ("val_set_size", "validation"), ("test_size", "test")]
)
def test_the_names_that_other_tools_have_for_the_size_of_a_split_lead_to_it(refused, theirs, ours):
    error = refused(PrepareSpec, {"source": "file:x", theirs: 0.1})
    assert error.fix == f"burnish calls it split.{ours}"


NEEDLESS = {
    "burnish always packs": (
        *("packing", "packing_strategy", "sample_packing", "eval_packing", "eval_sample_packing", "neat_packing"),
    ),
    "name the stage: dpo, kto": ("rl",),
    "burnish has no weighted preference": ("dpo_use_weighting", "use_weighting"),
    "micro_batch_tokens holds for the reference": ("precompute_ref_batch_size",),
    "completions are generated by the model": (
        "use_vllm",
        "vllm_mode",
        "vllm_model_impl",
        "vllm_gpu_memory_utilization",
    ),
    "every completion is kept": ("log_completions",),
    "the reference does not change": ("sync_ref_model",),
    "set render: {max_length: …}, for prompt and answer": ("max_prompt_length",),
    "burnish does not pad": (
        *("pad_to_sequence_len", "padding_free", "pad_to_multiple_of", "group_by_length"),
        *("pad_token", "pad_token_id", "label_pad_token_id"),
    ),
    "output is written to runs/": ("output_dir",),
    "a run never overwrites another": ("overwrite_output_dir",),
    "the size of an evaluation's batches": ("per_device_eval_batch_size", "eval_batch_size"),
    "set eval_every": ("evals_per_epoch", "eval_strategy", "evaluation_strategy"),
    "set checkpoint.every": ("saves_per_epoch", "save_strategy"),
    "set log_every": ("logging_strategy", "logging_first_step"),
    "a run uses one process and one device": (
        *("deepspeed", "fsdp", "fsdp_config", "ddp_timeout", "ddp_find_unused_parameters"),
    ),
    "it is read from the model's files": ("model_type", "tokenizer_type", "eos_token", "eos_token_id"),
    "rendered rows are cached": ("overwrite_cache", "dataset_prepared_path", "tokenized_path"),
    "burnish has kernels of its own": ("use_liger_kernel", "enable_liger_kernel", "use_unsloth"),
    "answers are scored by the stage evaluate": (
        *("predict_with_generate", "eval_table_size", "eval_max_new_tokens", "compute_metrics"),
    ),
    "trackers receive metrics only": ("wandb_watch", "wandb_log_model"),
    "tokens are always counted": ("include_num_input_tokens_seen", "include_tokens_per_second"),
    "trained weights are float32": ("upcast_layernorm", "upcast_lmhead_output", "pure_bf16"),
    "a loss that is not finite stops": ("loss_watchdog_threshold", "loss_watchdog_patience"),
    "limit the rows where they are prepared": ("max_samples",),
    "set track: wandb": ("wandb_project", "wandb_entity"),
    "loss.png is always drawn": ("plot_loss",),
    "checkpoints are removed": ("save_only_model",),
    "weights are always saved": ("save_safetensors",),
    "activations are always recomputed": ("gradient_checkpointing_kwargs", "activation_checkpointing_kwargs"),
    "how float32 is multiplied": ("tf32",),
    "an evaluation runs at the end": ("do_eval",),
    "rows are memory-mapped": ("streaming",),
    "an unknown key is always an error": ("strict",),
    "set HF_TOKEN": ("hub_token",),
    "set HF_HOME": ("cache_dir",),
    "the best state is that of the lowest evaluation loss": ("metric_for_best_model", "greater_is_better"),
    "the end of a learned turn is always learned": ("train_on_eos",),
    "write render: {train_on: completion}": ("mask_history",),
    "rows are rendered by all cores": (
        *("dataset_num_proc", "preprocessing_num_workers", "dataset_processes", "dataset_batch_size"),
    ),
    "batches are prepared in a thread": (
        "dataloader_num_workers",
        "dataloader_pin_memory",
        "dataloader_prefetch_factor",
    ),
    "columns that are not used are kept": ("remove_unused_columns",),
    "the layout is detected; rename a column": ("dataset_text_field",),
    "burnish runs no code of a model": ("trust_remote_code",),
    "burnish does not upload": ("push_to_hub", "hub_model_id", "hub_strategy"),
    "a run is named after its recipe": ("run_name", "wandb_name"),
    "the stage decides what is done": ("do_train",),
    "the saved adapter is always a plain one": ("pissa_convert",),
    "the embedding grows for method.new_tokens": ("resize_vocab",),
    "new rows start at the mean of the others": ("mean_resizing",),
    "it follows from the stage": ("task_type", "peft_type"),
    "dpo has a reference; for none use the stage simpo": ("reference_free",),
    "burnish has no such setting: dpo's divergence": ("f_divergence_type", "f_alpha_divergence_coef"),
    "burnish has no LD-DPO": ("ld_alpha",),
    "burnish has no SAPO": ("sapo_temperature_pos", "sapo_temperature_neg"),
    "burnish has no two-sided clipping": ("delta",),
    "the model's dropout is in its config.json": ("disable_dropout",),
    "burnish runs no code of a recipe": ("callbacks",),
    "burnish has no environments": ("max_tool_calling_iterations",),
    "burnish has no such setting: method.targets": ("exclude_modules", "layers_pattern"),
    "burnish has no such adapters": ("lora_bias", "use_qalora", "use_bdlora"),
    "burnish has no log levels": ("log_level", "log_level_replica"),
    "an evaluation generates one completion": ("num_generations_eval",),
    "burnish has no such setting: optimizer has": ("optim_args",),
    "burnish has no such setting: eval_every": ("eval_delay",),
    "set track, and the tracker's project": ("project",),
    "micro_batch_tokens: auto, the default": ("auto_find_batch_size",),
    "a stopped run saves its state": ("enable_jit_checkpoint",),
    "adapters of embeddings are trained at learning_rate": ("loraplus_lr_embedding",),
}
"""Why a setting of other tools is not one of burnish: the beginning of the hint."""


def test_the_names_of_other_tools_are_those_of_the_tables_here():
    sizes = {"val_size", "val_set_size", "test_size", "dataset_exact_deduplication", "special_tokens"}
    tables = (NAMES_OF_OTHER_TOOLS, NAMES_FOR_JUDGED_ROWS)
    assert set(ALIASES) == {name for table in tables for names in table.values() for name in names} | sizes
    assert set(NOT_NEEDED) == {name for names in NEEDLESS.values() for name in names} | {"max_completion_length"}


@pytest.mark.parametrize("why", NEEDLESS)
def test_a_setting_of_other_tools_that_burnish_does_not_need_is_explained(refused, why):
    for theirs in NEEDLESS[why]:
        assert refused(SftSpec, {"base": "hub:a/b", "data": "step:x", theirs: 1}).fix.startswith(why)


def names_of(fields):
    known = SftSpec.__pydantic_fields__
    return [name for name in " ".join(fields).split() if name not in known]


@pytest.mark.parametrize("fields", [[LLAMA_FACTORY_FIELDS], [AXOLOTL_FIELDS]], ids=["LLaMA-Factory", "Axolotl"])
def test_a_file_of_another_tool_is_refused_once_with_a_hint_for_each_of_its_settings(refused, fields):
    names = names_of(fields)
    values = dict.fromkeys(names, "x")
    of_step = refused(SftSpec, {"base": "hub:a/b", "data": "step:x", **values})
    with pytest.raises(AskError) as caught:
        recipe_of({**values, "stage": "sft", "learning_rate": 1e-4})
    of_recipe = caught.value
    assert of_recipe.fix.startswith("a recipe has `name` and `steps`")
    assert "- learning_rate: it belongs in a step" in of_recipe.fix
    for name in names:
        alone = refused(SftSpec, {"base": "hub:a/b", "data": "step:x", name: "x"})
        for error in (of_step, of_recipe):
            assert f"- unknown key '{name}'" in error.what.splitlines()
            assert f"- {name}: {alone.fix}" in error.fix.splitlines()
        assert "known names" not in alone.fix


def test_temperature_in_grpo_is_first_that_of_its_completions(refused):
    given = {"base": "hub:a/b", "data": "step:x", "rewards": [{"kind": "number"}], "temperature": 1}
    assert refused(stages()["grpo"].spec_type(), given).fix.startswith("it is generation.temperature")
