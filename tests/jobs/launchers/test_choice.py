"""The address of a cluster, and what of this process its workers get."""

import pytest

from burnish.core.errors import AskError
from burnish.jobs.launchers.choice import parsed
from burnish.jobs.launchers.ray import passed


@pytest.mark.parametrize("on", ["http://me:secret@host:8265", "ray://secret@host:10001?gpus=1"])
def test_a_password_in_an_address_is_refused_and_not_shown(on):
    with pytest.raises(AskError) as refused:
        parsed(on)
    assert "secret" not in str(refused.value)
    assert "RAY_AUTH_MODE=token" in refused.value.fix


def test_a_worker_gets_the_keys_that_its_settings_name_and_no_other_secret(monkeypatch):
    for name in ("BURNISH_DATABASE", "BURNISH_API_KEY", "OPENAI_API_KEY", "JUDGE_API_KEY", "WANDB_API_KEY", "HF_HOME"):
        monkeypatch.setenv(name, name.lower())
    found = passed({"judges": [{"endpoint": {"url": "http://x", "api_key_env": "JUDGE_API_KEY"}}], "api_key_env": None})
    assert found.keys() >= {"JUDGE_API_KEY", "WANDB_API_KEY", "HF_HOME"}
    assert found.keys().isdisjoint({"BURNISH_DATABASE", "BURNISH_API_KEY", "OPENAI_API_KEY"})
