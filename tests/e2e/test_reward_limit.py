"""A training whose judge has a limit is killed before its first checkpoint: what was spent is not forgotten."""

import json
import os
import signal

import pytest

import burnish
from burnish.core.errors import RunError
from burnish.testing import ChatServer

LIMIT = 6
RECIPE = """
name: limited
steps:
  practise:
    stage: grpo
    base: builtin:pocket
    data: file:{data}
    rewards:
      - {{kind: judge, prompt: "{{answer}}", endpoint: {{url: {url}, model: judge, concurrency: 1, max_calls: 6}}}}
    generation: {{max_new_tokens: 4}}
    group_size: 8
    batch_size: 8
    max_steps: 2
    threads: 1
    prove: off
"""


@pytest.mark.torture
@pytest.mark.timeout(300)
def test_a_kill_before_the_first_checkpoint_does_not_reset_the_limit_of_a_judge(tmp_path):
    rows = [{"prompt": [{"role": "user", "content": f"What is {number} + 2?"}]} for number in range(2)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kills = [4]

    def answer(request):
        if len(server.seen) in kills:
            (record,) = tmp_path.glob("work/runs/limited/*/practise/run.json")
            os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
        return "Score: 5"

    with ChatServer(answer) as server:
        recipe = tmp_path / "limited.yaml"
        recipe.write_text(RECIPE.format(data=tmp_path / "rows.jsonl", url=server.url))
        codes = []
        for _ in range(2):
            with pytest.raises(RunError) as caught:
                burnish.run(recipe, workspace=tmp_path / "work")
            codes.append(caught.value.code)
        assert codes == ["run.killed", "run.call-limit"]
        assert len(server.seen) == LIMIT
    assert len(list(tmp_path.glob("work/runs/limited/*/practise"))) == 1
