"""The statistics of the benchmarks, with made-up samples."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "benchmarks" / "method.py"


def load():
    # The benchmarks are scripts beside each other, not a package.
    name = "nitrosim_benchmark_method"
    specification = importlib.util.spec_from_file_location(name, SOURCE)
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


method = load()
AT_MOST = method.Target(goal=2.0, gate=3.5)
AT_LEAST = method.Target(goal=0.95, gate=0.8, rate=True)


def a_ratio(value):
    return method.Ratio(value, value, value, 1.0, value, 7)


def returning(*values):
    return iter(values).__next__


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(1.9, "goal"), (2.0, "goal"), (2.01, "short of goal"), (3.5, "short of goal")],
)
def test_a_ratio_up_to_a_limit_has_reached_it(ratio, verdict):
    assert verdict == AT_MOST.verdict(ratio)


def test_a_ratio_beyond_the_gate_breaks_it():
    assert method.Verdict.BROKEN is AT_MOST.verdict(3.51)


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(1.1, "goal"), (0.95, "goal"), (0.94, "short of goal"), (0.8, "short of goal")],
)
def test_a_rate_down_to_a_limit_has_reached_it(ratio, verdict):
    assert verdict == AT_LEAST.verdict(ratio)


def test_a_rate_below_the_gate_breaks_it():
    assert method.Verdict.BROKEN is AT_LEAST.verdict(0.79)


def test_nothing_is_broken_without_a_gate():
    assert method.Verdict.SHORT is method.Target(goal=1.0).verdict(1000.0)


def test_slices_alternate_and_neither_side_is_always_first():
    order = []

    def timer(name, value):
        def measure():
            order.append(name)
            return value

        return measure

    pairs = method.interleave(timer("baseline", 2.0), timer("subject", 6.0), 4)

    assert [(2.0, 6.0)] * 4 == pairs
    assert ["baseline", "subject", "subject", "baseline"] * 2 == order


def test_the_figure_is_the_median_of_the_ratios_of_the_slices():
    # A machine that becomes four times slower on the way, and one slice that was disturbed.
    pairs = [(10.0, 20.0), (10.0, 22.0), (40.0, 80.0), (40.0, 80.0), (40.0, 4000.0)]

    ratio = method.ratio_of(pairs)

    assert (2.0, 2.0, 2.2) == (ratio.value, ratio.low, pytest.approx(ratio.high))
    assert (40.0, 80.0, 5) == (ratio.baseline, ratio.subject, ratio.slices)


def test_a_rate_is_the_inverse_of_the_ratio_of_the_times():
    assert 0.5 == method.ratio_of([(10.0, 20.0)] * 3, rate=True).value


def test_the_spread_is_that_of_the_middle_half():
    pairs = [(1.0, float(subject)) for subject in range(1, 10)]

    ratio = method.ratio_of(pairs)

    assert (3.0, 5.0, 7.0) == (ratio.low, ratio.value, ratio.high)


def test_one_slice_is_no_measurement():
    with pytest.raises(ValueError, match="at least two slices"):
        method.ratio_of([(1.0, 2.0)])


def test_the_first_attempt_that_reaches_the_goal_is_the_last():
    attempts = returning(a_ratio(3.0), a_ratio(1.9))

    assert 1.9 == method.best_of(AT_MOST, 3, attempts).value


def test_the_best_attempt_counts_when_none_reaches_the_goal():
    attempts = returning(a_ratio(3.6), a_ratio(2.5), a_ratio(3.0))

    assert 2.5 == method.best_of(AT_MOST, 3, attempts).value


def test_the_best_attempt_at_a_rate_is_the_highest():
    attempts = returning(a_ratio(0.7), a_ratio(0.9), a_ratio(0.85))

    assert 0.9 == method.best_of(AT_LEAST, 3, attempts).value


def figure(subject, *, gated):
    return method.Method(slices=3, attempts=1).figure(
        7, "a quantity", AT_MOST, lambda: 1.0, lambda: subject, gated=gated
    )


def test_a_broken_gate_among_good_figures_fails_the_run():
    assert method.gate_is_broken([figure(1.0, gated=True), figure(4.0, gated=True)])


def test_a_figure_short_of_its_goal_does_not_fail_the_run():
    assert not method.gate_is_broken([figure(3.0, gated=True)])


def test_a_figure_without_gate_is_information_whatever_it_is():
    information = figure(1000.0, gated=False)

    assert method.Verdict.INFORMATION is information.verdict
    assert not method.gate_is_broken([information])


def test_what_is_slow_the_first_time_only_is_not_measured():
    times = itertools.chain([1000.0], itertools.repeat(2.0))

    measured = method.Method(slices=3, attempts=1).figure(
        7, "a quantity", AT_MOST, lambda: 1.0, lambda: next(times)
    )

    assert (2.0, 2.0, 2.0) == (measured.ratio.value, measured.ratio.low, measured.ratio.high)


def test_a_figure_can_demand_more_slices_than_usual():
    measured = method.Method(slices=3).figure(
        14, "a quantity", AT_LEAST, lambda: 1.0, lambda: 1.0, slices=15
    )

    assert 15 == measured.ratio.slices


def test_repetitions_are_scaled_and_never_none():
    quick = method.Method(scale=0.1)

    assert (200, 1) == (quick.count(2000), quick.count(2))
