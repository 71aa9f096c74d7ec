"""The filter of system calls has the numbers of the kernel's headers, and what it refuses is refused."""

import re
from pathlib import Path

import pytest

from burnish.train.rewards.sandbox import jail

HEADERS = {
    0: ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"#define __NR_(\w+) (\d+)"),
    1: ("/usr/include/asm-generic/unistd.h", r"#define __NR(?:3264)?_(\w+) (\d+)"),
}
CALLS = {**jail._FILES, **jail._REFUSED, **jail._SPECIAL}
ALLOW, ERROR = 0x7FFF0000, 0x00050000


@pytest.mark.parametrize("column", HEADERS)
def test_numbers_are_those_of_the_headers(column):
    path, pattern = HEADERS[column]
    if not Path(path).exists():
        pytest.skip(f"there is no {path}")
    known = {name: int(number) for name, number in re.findall(pattern, Path(path).read_text())}
    for name, numbers in CALLS.items():
        if name in known:
            assert numbers[column] == known[name], name


@pytest.mark.parametrize("machine", jail._MACHINES)
def test_numbers_are_distinct(machine):
    column, _ = jail._MACHINES[machine]
    numbers = [number[column] for number in CALLS.values() if number[column] is not None]
    assert len(numbers) == len(set(numbers))


def verdict(machine, number, arguments=(0, 0, 0, 0, 0, 0), architecture=None):
    """Run the filter as the kernel does."""
    words = {0: number, 4: jail._MACHINES[machine][1] if architecture is None else architecture}
    for place, argument in enumerate(arguments):
        words[16 + 8 * place], words[20 + 8 * place] = argument & 0xFFFFFFFF, argument >> 32
    program, place, accumulator = jail.filter_for(machine), 0, 0
    while True:
        code, yes, no, operand = program[place]
        place += 1
        if code == jail._LOAD:
            accumulator = words[operand]
        elif code == jail._RETURN:
            return operand
        else:
            holds = {
                jail._EQUAL: accumulator == operand,
                jail._AT_LEAST: accumulator >= operand,
                jail._ANY_BIT: bool(accumulator & operand),
            }[code]
            place += yes if holds else no


@pytest.mark.parametrize("machine", jail._MACHINES)
def test_the_filter_refuses_its_list_and_allows_the_rest(machine):
    column, _ = jail._MACHINES[machine]
    for name, numbers in {**jail._FILES, **jail._REFUSED}.items():
        if numbers[column] is not None:
            assert verdict(machine, numbers[column]) & 0xFFFF0000 == ERROR, name
    refused = {numbers[column] for numbers in CALLS.values()}
    assert all(verdict(machine, number) == ALLOW for number in range(600) if number not in refused)


@pytest.mark.parametrize("machine", jail._MACHINES)
def test_arguments_decide_on_opening_cloning_and_limits(machine):
    column, _ = jail._MACHINES[machine]
    openat, clone = jail._SPECIAL["openat"][column], jail._SPECIAL["clone"][column]
    assert verdict(machine, openat, (0, 0, 0o2000000)) == ALLOW  # O_CLOEXEC
    for flags in (1, 2, 0o100, 0o1000, 0o101):
        assert verdict(machine, openat, (0, 0, flags)) == ERROR | 30
    assert verdict(machine, clone, (0x3D0F00,)) == ALLOW  # a thread
    assert verdict(machine, clone, (17,)) == ERROR | 1  # a process
    send = jail._SPECIAL["sendto"][column]
    assert verdict(machine, send, (3, 7, 7, 0, 0, 0)) == ALLOW
    assert verdict(machine, send, (3, 7, 7, 0, 7, 7)) == ERROR | 1
    limits = jail._SPECIAL["prlimit64"][column]
    assert verdict(machine, limits, (0, 7, 0)) == ALLOW
    assert verdict(machine, limits, (0, 7, 0x7FFF)) == verdict(machine, limits, (0, 7, 1 << 32)) == ERROR | 1


def test_another_architecture_and_the_other_numbering_are_refused():
    assert verdict("x86_64", 39, architecture=0x40000003) == 0x80000000
    assert verdict("x86_64", 0x40000000 | 39) == ERROR | 38
