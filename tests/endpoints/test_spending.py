"""The account of an endpoint: what is booked before a request, settled after it, and limited at any concurrency."""

import json
import random
import threading
import time

import pytest

from burnish.core.errors import RunError
from burnish.endpoints.client import Endpoint, usage_in
from burnish.endpoints.spending import Limits, Spending, Usage
from burnish.specs.endpoints import EndpointSpec

PRICE = {"input": 2.0, "output": 10.0}


def asked(count):
    return [[{"role": "user", "content": f"number {number}"}] for number in range(count)]


def endpoint(server, spending=None, **settings):
    given = {"url": server.url, "model": "judge", "backoff": 0.0, "timeout": 5, "max_tokens": 20, **settings}
    return Endpoint(EndpointSpec(**given), None, spending)


def charging(server, seed):
    """Each answer costs a random part of what the request allows."""
    chance = random.Random(seed)

    def usage(request):
        size = len(json.dumps(request["messages"]))
        return {"prompt_tokens": chance.randint(1, size), "completion_tokens": chance.randint(0, request["max_tokens"])}

    def answer(request):
        time.sleep(chance.random() / 200)
        return "fine"

    server.usage, server.answer = usage, answer


def cost_of(charged):
    prompt, reply = (sum(one.get(name, 0) for one in charged) for name in ("prompt_tokens", "completion_tokens"))
    return (prompt * PRICE["input"] + reply * PRICE["output"]) / 1e6


@pytest.mark.parametrize("concurrency", [1, 4, 16])
@pytest.mark.parametrize("limit", [{"max_cost": 0.01, "price": PRICE}, {"max_cost_tokens": 4000}])
def test_a_limit_holds_and_leaves_less_than_one_request(server, concurrency, limit):
    charging(server, concurrency)
    client = endpoint(server, concurrency=concurrency, **limit)
    with pytest.raises(RunError, match=next(iter(limit))) as caught:
        client.reply_to(asked(300))
    assert caught.value.code == "run.call-limit"
    tokens = sum(sum(one.values()) for one in server.charged)
    spent, most = client.spending.used, client.most_of(asked(300)[-1])
    assert (spent.total, client.spending.uncounted) == (tokens, 0)
    if "max_cost" in limit:
        assert 0.01 - (most.prompt * 2 + most.reply * 10) / 1e6 < cost_of(server.charged) <= 0.01
        assert client.spending.cost == pytest.approx(cost_of(server.charged))
    else:
        assert 4000 - most.total < tokens <= 4000


def test_a_lost_reply_counts_at_the_most_and_a_refusal_at_nothing(server):
    client = endpoint(server, max_cost_tokens=100_000)
    server.faults = [429, 500]
    client.reply_to(asked(1))
    assert (client.calls, client.tokens) == (3, 10)
    for fault in ("half", "reset", "garbage", "empty"):
        before, server.faults = client.spending.used, [fault]
        client.reply_to(asked(1))
        assert client.spending.used.total == before.total + client.most_of(asked(1)[0]).total + 10
    assert client.spending.uncounted == 4
    server.usage = lambda request: {}
    before = client.spending.used
    client.reply_to(asked(1))
    assert client.spending.used == before + client.most_of(asked(1)[0])


def test_an_endpoint_that_cannot_be_reached_costs_nothing(server):
    url = server.url
    server.__exit__()
    client = Endpoint(EndpointSpec(url=url, model="judge", retries=1, backoff=0, max_cost_tokens=10_000))
    with pytest.raises(Exception, match="refused"):
        client.reply_to(asked(1))
    assert (client.calls, client.tokens) == (2, 0)


def test_what_a_killed_request_may_have_cost_counts_in_the_next_attempt(tmp_path):
    path = tmp_path / "spending.jsonl"
    first = Spending(path)
    numbers = [first.reserve(Usage(100, 20)) for _ in range(3)]
    first.settle(numbers[1], Usage(7, 3))
    with path.open("a") as file:
        file.write('{"settle": 0, "us')  # killed while it wrote
    second = Spending(path, Limits(max_tokens=500))
    assert (second.calls, second.used, second.uncounted) == (3, Usage(207, 43), 2)
    number = second.reserve(Usage(100, 20))
    assert number == 3
    assert "max_cost_tokens: 500; 370 are used, and the next request may use 131" in (
        Spending(path, Limits(max_tokens=500)).reserve(Usage(111, 20))
    )
    second.settle(number, Usage(1, 1))
    assert Spending(path).used == Usage(208, 44)


def test_a_request_waits_for_others_that_may_cost_less():
    spending = Spending(None, Limits(max_tokens=150))
    first = spending.reserve(Usage(100, 0))
    assert isinstance(first, int)
    got = []
    thread = threading.Thread(target=lambda: got.append(spending.reserve(Usage(100, 0))))
    thread.start()
    time.sleep(0.05)
    assert got == []
    spending.settle(first, Usage(10, 0))
    thread.join(5)
    assert isinstance(got[0], int)
    assert "max_cost_tokens" in str(spending.reserve(Usage(100, 0), lambda: True))


def test_an_endpoint_that_ignores_max_tokens_is_expected_to_do_so_again(server):
    server.usage = lambda request: {"prompt_tokens": 10, "completion_tokens": 5000}
    client = endpoint(server, max_cost_tokens=12_000, concurrency=1)
    with pytest.raises(RunError, match="may use 5,"):
        client.reply_to(asked(9))
    assert client.tokens == 10_020
    assert client.spending.exceeds_its_bound


@pytest.mark.parametrize("concurrency", [1, 4, 256])
def test_a_hidden_prompt_is_expected_once_at_any_concurrency(concurrency):
    spending = Spending(None, Limits(max_tokens=1_000_000))
    numbers = [spending.reserve(Usage(100, 20)) for _ in range(concurrency)]
    for number in numbers:
        spending.settle(number, Usage(1000, 20))
    assert spending.exceeds_its_bound
    assert isinstance(spending.reserve(Usage(400, 20)), int)
    assert spending.used.total == concurrency * 1020 + 400 + 900 + 20


def test_requests_under_way_that_exceed_their_bound_leave_the_rest_of_a_limit(server):
    server.usage = lambda request: {"prompt_tokens": 1000, "completion_tokens": 20}
    together = threading.Barrier(4)

    def answer(request):
        if len(server.seen) <= 4:
            together.wait(10)
        return "fine"

    server.answer = answer
    client = endpoint(server, max_cost_tokens=100_000, concurrency=4)
    client.reply_to(asked(80))
    assert client.tokens == 80 * 1020


def test_the_excess_of_one_kind_of_token_is_not_hidden_by_the_other(tmp_path):
    """Prompts cost more than they can, replies less: the cost of the next request has the longer prompt."""
    path, limits = tmp_path / "spending.jsonl", Limits(max_cost=1.0, price_prompt=1000.0)
    spending = Spending(path, limits)
    spending.settle(spending.reserve(Usage(100, 2000)), Usage(600, 1))
    assert spending.exceeds_its_bound
    resumed = Spending(path, limits)
    assert resumed.exceeds_its_bound, "an attempt forgets what the endpoint counts"
    assert "may cost 0.6" in str(resumed.reserve(Usage(100, 2000)))


def test_a_total_alone_is_compared_with_the_total():
    spending = Spending()
    spending.settle(spending.reserve(Usage(400, 20)), Usage(0, 400))
    assert not spending.exceeds_its_bound
    spending.settle(spending.reserve(Usage(400, 20)), Usage(0, 430))
    assert spending.exceeds_its_bound
    for said, usage in (
        ({"total_tokens": 30}, Usage(0, 30)),
        ({"prompt_tokens": 20, "total_tokens": 30}, Usage(20, 10)),
    ):
        assert usage_in({"usage": said}) == usage
    assert usage_in({"usage": {"total_tokens": 0}}) is usage_in({}) is None


def test_a_limit_needs_prices_and_the_longest_reply():
    given = {"url": "http://host/v1", "model": "m"}
    with pytest.raises(ValueError, match="max_cost needs the prices"):
        EndpointSpec(**given, max_cost=1.0)
    with pytest.raises(ValueError, match="max_cost_tokens needs max_tokens"):
        EndpointSpec(**given, max_cost_tokens=5, max_tokens=None)
    EndpointSpec(**given, max_cost_tokens=5, max_tokens=None, parameters={"max_completion_tokens": 9})
