"""Unused settings are reported by name."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from burnish.core.errors import RunError
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.specs.base import DataRef, Spec


class Leaf(Spec):
    ref: DataRef | None = None
    take: int = 1
    tag: str = ""


class Left(Spec):
    kind: Literal["left"] = "left"
    x: int = 1


class Right(Spec):
    kind: Literal["right"] = "right"
    y: int = 1


class Tree(Spec):
    source: DataRef | list[Leaf] = "file:x"
    side: Annotated[Left | Right, Field(discriminator="kind")] = Left()
    table: dict[str, Leaf] = Field(default_factory=dict)
    optional: Leaf | None = None
    number: int = 0


class Many(Spec):
    kind: Literal["many"] = "many"
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    e: int = 0
    f: int = 0
    g: int = 0
    h: int = 0


def test_unread_defaults_are_allowed():
    with ConsumptionLedger(Tree()) as ledger:
        ledger.check()


def test_each_unread_setting_is_named_at_every_depth():
    spec = Tree(
        source=[Leaf(ref="file:a", take=2), Leaf(tag="t")],
        side=Right(y=3),
        table={"k": Leaf(take=4)},
        optional=Leaf(tag="u"),
        number=5,
    )
    with ConsumptionLedger(spec) as ledger:
        assert ledger.unread() == ["number", "optional", "side", "source", "table"]
        _ = spec.number, spec.optional, spec.side, spec.table, spec.source
        assert ledger.unread() == [
            "optional.tag",
            "side.y",
            "source.0.ref",
            "source.0.take",
            "source.1.tag",
            "table.k.take",
        ]
        _ = spec.optional.tag, spec.side.y, spec.table["k"].take, spec.source[0].take, spec.source[1].tag
        ledger.input_was_read("source.0.ref")
        ledger.check()


def test_a_requested_input_counts_as_read():
    spec = Tree(source="file:x")
    with ConsumptionLedger(spec) as ledger:
        with pytest.raises(RunError, match="source"):
            ledger.check()
        ledger.input_was_read("source")
        ledger.check()


def test_an_input_in_a_list_does_not_count_for_its_neighbours():
    spec = Tree(source=[Leaf(ref="file:a"), Leaf(ref="file:b", take=2)])
    with ConsumptionLedger(spec) as ledger:
        ledger.input_was_read("source.0.ref")
        assert ledger.unread() == ["source.1.ref", "source.1.take"]


def test_the_other_of_two_equal_specs_was_not_read():
    spec = Tree(source=[Leaf(take=2), Leaf(take=2)])
    with ConsumptionLedger(spec) as ledger:
        _ = spec.source[0].take
        assert ledger.unread() == ["source.1.take"]


def test_printing_comparing_and_dumping_are_not_reading():
    spec = Tree(number=5)
    with ConsumptionLedger(spec) as ledger:
        _ = repr(spec), spec == Tree(), spec.model_dump(), spec.model_dump_json(), dict(spec)
        assert ledger.unread() == ["number"]


def test_the_error_names_the_setting_and_the_fix():
    spec = Tree(number=5)
    with ConsumptionLedger(spec) as ledger, pytest.raises(RunError) as caught:
        ledger.check()
    assert caught.value.code == "run.unread-setting"
    assert caught.value.what.endswith("unused setting: number")


def test_reads_after_the_ledger_was_closed_do_not_count():
    spec = Tree(number=5)
    with ConsumptionLedger(spec) as ledger:
        pass
    _ = spec.number
    assert ledger.unread() == ["number"]


def test_several_inputs_count_each_for_itself_and_for_what_holds_it():
    spec = Tree(source=[Leaf(ref="file:a"), Leaf(ref="file:b"), Leaf(ref="file:c")], optional=Leaf(ref="file:d"))
    with ConsumptionLedger(spec) as ledger:
        for path in ("source.0.ref", "source.2.ref", "optional.ref", "sources", "xsource.1.ref"):
            ledger.input_was_read(path)
        assert ledger.unread() == ["source.1.ref"]


def test_unread_settings_are_listed_in_the_order_of_their_names():
    spec = Many(**dict.fromkeys("hbdafcge", 1), kind="many")
    with ConsumptionLedger(spec) as ledger:
        assert ledger.unread() == list("abcdefgh")
        _ = spec.a, spec.c
        with pytest.raises(RunError) as caught:
            ledger.check()
    assert caught.value.what == "unused settings: b, d, e, f, g, h"
    assert caught.value.fix == "remove it, or change the settings that it depends on"
