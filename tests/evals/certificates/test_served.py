"""A certificate of a model behind an endpoint: what the endpoint gives is compared, and the rest does not apply."""

import math
import threading

import numpy as np
import pytest
import torch

from burnish.core.errors import BurnishError
from burnish.endpoints.client import NoAnswerError
from burnish.endpoints.scoring import ScoringEndpoint
from burnish.evals.certificates.compare import Effort, certify
from burnish.evals.certificates.served import ServedSubject
from burnish.evals.certificates.subject import LocalSubject
from burnish.evals.certificates.tokens import compare_ids
from burnish.models.load import load_model
from burnish.specs.endpoints import EndpointSpec
from burnish.testing import ScoringServer
from burnish.tokens.load import load_tokenizer
from certified import copy_of, failed

CPU = torch.device("cpu")
EFFORT = Effort(tokens=200, answers=2, answer_tokens=6)


def scores_of(folder):
    model = load_model(folder)
    lock = threading.Lock()

    def log_probs(ids):
        with lock, torch.no_grad():
            return model(torch.tensor([ids]), use_cache=False).logits[0].float().log_softmax(-1).numpy()

    return log_probs


def server_of(folder, form="vllm", **more):
    tokenizer = load_tokenizer(folder)
    return ScoringServer(scores_of(folder), lambda token: tokenizer.decode([token]), form, **more)


def chat_ids(folder):
    """`/tokenize` as vLLM has it."""
    tokenizer = load_tokenizer(folder)

    def tokenize(request):
        return tokenizer.apply_chat_template(
            request["messages"],
            tools=request.get("tools"),
            add_generation_prompt=request["add_generation_prompt"],
            tokenize=True,
            return_dict=False,
        )

    return tokenize


def served(server, folder, tmp_path):
    spec = EndpointSpec(url=server.url, model="m", retries=1, backoff=0.0)
    return ServedSubject(ScoringEndpoint(spec, tmp_path / "cache"), load_tokenizer(folder))


def local(folder):
    return LocalSubject(folder, str(folder), "", CPU, torch.float32)


def verdicts(found):
    return {check.name: check.verdict for check in found.checks}


def echoed(text, value):
    """The legacy form, of the second token."""
    found = {"tokens": ["token_id:5", text], "token_logprobs": [None, value], "top_logprobs": [None, {text: value}]}
    return {"prompt_logprobs": None, "logprobs": found}


@pytest.mark.parametrize("form", ["vllm", "echo"])
def test_a_served_copy_is_certified_by_its_distributions_and_its_tokens(base, tmp_path, form):
    with server_of(base, form, tokenize=chat_ids(base)) as server:
        found = certify(local(base), served(server, base, tmp_path), "F16", effort=EFFORT)
    assert found.holds, found.failed
    by_id = {"top-1", "greedy"} if form == "vllm" else set()  # half of the tiny tokenizer's bytes have the same text
    expected = {"tokens", "finite", "kl", "kl tail", "perplexity", *by_id}
    assert {name for name, verdict in verdicts(found).items() if verdict == "holds"} == expected
    assert found.numbers["kl"] < 1e-6
    assert 0 < found.numbers["rest"] < 0.999


@pytest.mark.parametrize("form", ["vllm", "echo"])
def test_a_served_model_with_a_fault_fails(base, tmp_path, form):
    other = copy_of(base, tmp_path / "other", lambda tensors: tensors["model.norm.weight"].mul_(1.05))
    with server_of(other, form) as server:
        found = certify(local(base), served(server, base, tmp_path), "F16", effort=EFFORT)
    assert "kl" in failed(found)
    assert verdicts(found)["tokens"] == "does not apply"


def test_a_served_template_that_differs_fails(base, tmp_path):
    other = copy_of(base, tmp_path / "other")
    template = other / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>assistant\\n", "<|im_start|>assistant\\n\\n"))
    with server_of(base, tokenize=chat_ids(other)) as server:
        found = certify(local(base), served(server, base, tmp_path), "F16", effort=EFFORT)
    assert failed(found) == {"tokens"}


def test_a_served_parent_is_compared_too(base, tmp_path):
    other = copy_of(base, tmp_path / "other", lambda tensors: tensors["model.norm.weight"].mul_(1.05))
    with server_of(base) as server:
        assert certify(served(server, base, tmp_path), local(base), "F16", effort=EFFORT).holds
        assert "kl" in failed(certify(served(server, base, tmp_path), local(other), "F16", effort=EFFORT))


def test_an_endpoint_that_scores_no_prompts_certifies_nothing_and_says_so(base, tmp_path):
    with server_of(base, "none") as server:
        found = certify(local(base), served(server, base, tmp_path), "Q8_0", effort=EFFORT)
    assert not found.holds
    assert not found.failed
    assert "gives no log-probabilities of prompts" in next(check.found for check in found.checks if check.name == "kl")


def test_replies_are_kept_and_paid_for_once(base, tmp_path):
    with server_of(base) as server:
        certify(local(base), served(server, base, tmp_path), "F16", effort=EFFORT)
        scored = [request for request in server.seen if "prompt" in request]
        certify(local(base), served(server, base, tmp_path), "F16", effort=EFFORT)
        assert [request for request in server.seen if "prompt" in request] == scored
    assert len(scored) == len({str(request["prompt"]) for request in scored})


def test_an_endpoint_with_fewer_alternatives_is_asked_for_fewer(base, tmp_path):
    with server_of(base, most=5) as server:
        side = served(server, base, tmp_path)
        [found] = side.log_probs([[5, 6, 7, 8]], top=1024)
    assert found.ids.shape[0] == 3
    assert found.ids.shape[1] in (5, 6)
    assert server.seen[-1]["prompt_logprobs"] == 5


@pytest.mark.parametrize("form", ["vllm", "echo"])
def test_the_scores_are_those_of_the_model(base, tmp_path, form):
    row = torch.randint(4, 200, (30,), generator=torch.Generator().manual_seed(0)).tolist()
    expected = scores_of(base)(row)
    with server_of(base, form) as server:
        [found] = served(server, base, tmp_path).log_probs([row], top=8)
        [again] = served(server, base, tmp_path).log_probs([row], at=[found.ids])
    places = np.arange(29)
    np.testing.assert_allclose(found.chosen, expected[places, row[1:]], atol=1e-5)
    known = np.isfinite(again.log_probs)
    assert known.mean() > 0.9
    np.testing.assert_allclose(
        again.log_probs[known], np.take_along_axis(expected[:-1], found.ids, 1)[known], atol=1e-5
    )
    sure = found.top >= 0
    assert (found.top[sure] == expected[:-1].argmax(axis=1)[sure]).all()


@pytest.mark.parametrize(
    "fault",
    [
        {"prompt_logprobs": [None]},
        {"prompt_logprobs": [None, {"9": {"logprob": -1.0}}]},
        {"prompt_logprobs": [None, {"6": {"logprob": 1.0}}]},
        {"prompt_logprobs": [None, {"6": {"logprob": math.nan}}]},
        echoed("token_id:9", -1.0),
        echoed("token_id:6", 1.0),
        {"text": 3},
    ],
)
def test_a_reply_about_other_tokens_is_no_score(base, tmp_path, fault):
    class Wrong(ScoringServer):
        def _body(self, request, path):
            status, body = super()._body(request, path)
            if "choices" in body:
                body["choices"][0] |= fault
            return status, body

    with Wrong(scores_of(base), str) as server:
        side = ScoringEndpoint(EndpointSpec(url=server.url, model="m", retries=0))
        with pytest.raises(BurnishError, match=r"no log-probabilities of prompts|not a completion"):
            side.score([[5, 6]])


def test_a_template_is_compared_although_the_server_was_busy(base, tmp_path):
    with server_of(base, tokenize=chat_ids(base)) as server:
        server.faults = [503]
        found = certify(local(base), served(server, base, tmp_path), "F16", effort=EFFORT)
        assert verdicts(found)["tokens"] == "holds"
        server.faults = [503, "reset"]
        with pytest.raises(NoAnswerError, match="gave no ids of a conversation"):
            certify(local(base), served(server, base, tmp_path), "F16", effort=EFFORT)


def test_a_conversation_that_the_server_refuses_is_a_difference(base, tmp_path):
    ids = chat_ids(base)
    with server_of(base, tokenize=ids) as server:
        endpoint = ScoringEndpoint(EndpointSpec(url=server.url, model="m", retries=0), tmp_path / "cache")
        messages = [{"role": "user", "content": "hello"}]
        expected = endpoint.tokenize(messages, None, True)
        server.faults = [400]
        assert endpoint.tokenize(messages, None, True) == []
        assert endpoint.tokenize(messages, None, True) == expected
    check = compare_ids([("a", [1, 2], [1, 2]), ("b", [1, 2], []), ("c", [], [])])
    assert (check.verdict, check.found) == (
        "does not hold",
        "1 renderings differ; the first: b: rendered and refused",
    )


def test_an_endpoint_without_such_a_path_is_asked_once(base, tmp_path):
    with server_of(base) as server:
        endpoint = ScoringEndpoint(EndpointSpec(url=server.url, model="m", retries=0), tmp_path / "cache")
        messages = [{"role": "user", "content": "hello"}]
        assert endpoint.tokenize(messages, None, True) is None
        server.faults = [503]
        assert endpoint.tokenize(messages, None, True) is None
        assert server.faults == [503]
