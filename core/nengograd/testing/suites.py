"""Sets of checks: made with attributes, and run one after the other."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest import SkipTest

from nengo.exceptions import ValidationError

from .conformance import Conformance, ConformanceError, declared_attributes, suggestion

__all__ = ["make_suite", "run_checks"]


def make_suite(kind: type[Conformance], attributes: Mapping[str, Any]) -> Conformance:
    """A set of checks with some attributes.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the class has no such attribute.
    """
    known = declared_attributes(kind)
    for name in attributes:
        if name not in known:
            meant = suggestion(name, known)
            raise ValidationError(
                f"there is no option {name!r}{meant}; there are {sorted(known)}", name
            )
    made: Conformance = type("Checked", (kind,), dict(attributes))()
    return made


def _checks(suite: Conformance) -> Iterator[tuple[str, Any]]:
    for name, check in inspect.getmembers(suite, callable):
        if name.startswith("test_"):
            yield name.removeprefix("test_").replace("_", " "), check


def run_checks(suite: Conformance) -> None:
    """Run all checks on all backends.

    Raises
    ------
    ConformanceError
        With one paragraph for each check that failed.
    """
    failures: dict[str, list[str]] = {}
    skipped: dict[str, None] = {}
    n_passed, names = 0, suite.backend_names()
    for name, check in _checks(suite):
        takes_backend = "backend" in inspect.signature(check).parameters
        for backend in names if takes_backend else [None]:
            try:
                check(backend) if takes_backend else check()
                n_passed += 1
            except SkipTest as reason:
                skipped[str(reason)] = None
            except Exception as error:
                where = f" on {backend}" if backend else ""
                complaint = f"{type(error).__name__}: {error}"
                failures.setdefault(complaint, []).append(f"{name}{where}")
    if failures:
        n_failed = sum(map(len, failures.values()))
        count = "1 check" if n_failed == 1 else f"{n_failed} checks"
        told = [f"- {_first_of(places)}: {text}" for text, places in failures.items()]
        raise ConformanceError("\n".join([f"{count} failed", *told]))
    if not n_passed:
        raise ConformanceError("\n- ".join(["nothing could be checked", *skipped]))


def _first_of(places: Sequence[str]) -> str:
    """The first check that has failed in one way, and how many others have."""
    others = len(places) - 1
    return places[0] + (f", and in the same way {others} more" if others else "")
