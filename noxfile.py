"""The tests on each supported Python that the machine has."""

import nox

nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session):
    session.install("-e", ".[tensorflow-cpu,dev]")
    session.run("python", "-m", "pytest", "-q", *session.posargs)
