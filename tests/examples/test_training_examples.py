"""The examples of training reach what they promise, and draw it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.slow


def test_digits_are_read_as_rates_and_with_spikes(tmp_path: Path) -> None:
    import train_digits

    rates, spikes = train_digits.main(str(tmp_path / "digits.png"))
    assert rates > 0.95
    assert abs(rates - spikes) <= 0.02
    assert (tmp_path / "digits.png").stat().st_size > 10_000


def test_an_ensemble_learns_the_exclusive_or(tmp_path: Path) -> None:
    import train_xor

    answers = train_xor.main(str(tmp_path / "xor.png"))
    np.testing.assert_allclose(answers, [0, 1, 1, 0], atol=0.05)
    assert (tmp_path / "xor.png").stat().st_size > 10_000


def test_a_recurrent_network_learns_to_integrate(tmp_path: Path) -> None:
    import train_integrator

    assert train_integrator.main(str(tmp_path / "integrator.png")) < 0.05
    assert (tmp_path / "integrator.png").stat().st_size > 10_000


def test_a_converted_network_reads_digits_with_spikes_nearly_as_well(tmp_path: Path) -> None:
    import convert_digits

    as_such, with_spikes = convert_digits.main(str(tmp_path / "converted.png"))
    assert as_such >= 0.98
    assert as_such - max(with_spikes.values()) <= 0.01
    assert with_spikes[50] < with_spikes[500]
    assert (tmp_path / "converted.png").stat().st_size > 10_000
