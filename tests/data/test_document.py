"""The canonical row: its id names its content."""

from burnish.data.document import canonical_json, content_id, make_row


def chat(question: str, answer: str, **more) -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return make_row("chat", "x:1", messages=turns, **more)


def test_equal_content_has_an_equal_id_wherever_it_stands():
    one, other = chat("a", "b"), chat("a", "b", tag="t", extra={"n": 1})
    assert one["id"] == other["id"]
    assert one["id"] != chat("a", "c")["id"]
    assert content_id(one | {"source": "y:9"}) == one["id"]


def test_a_prompt_with_another_reference_is_another_row():
    turns = [{"role": "user", "content": "a"}]
    one, other = (make_row("prompt", "x:1", messages=turns, extra={"answer": n}) for n in (1, 2))
    assert one["id"] != other["id"]


def test_the_id_is_the_hash_that_the_contract_names():
    import hashlib

    spelled = '{"kind":"text","text":"ü"}'.encode()
    assert canonical_json({"text": "ü", "kind": "text"}) == spelled
    assert make_row("text", "x:1", text="ü")["id"] == hashlib.sha256(spelled).hexdigest()[:16]


def test_absent_keys_are_absent():
    assert set(chat("a", "b")) == {"id", "source", "kind", "messages"}
