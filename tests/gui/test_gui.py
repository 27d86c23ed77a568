"""Nengo GUI with nengograd behind it, in a browser without a window."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nengo_gui", reason="Nengo GUI is not installed: pip install nengo-gui")
pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="there is no chromium with its chromedriver"
    ),
]

MODEL = """
    import nengo
    import numpy as np

    model = nengo.Network(seed=1)
    with model:
        stimulus = nengo.Node([0])
        a = nengo.Ensemble(50, 1)
        b = nengo.Ensemble(50, 1)
        nengo.Connection(stimulus, a)
        nengo.Connection(a, b, function=np.square)
"""
LAYOUT = """
    value = nengo_gui.components.Value(a)
    slider = nengo_gui.components.Slider(stimulus)
    voltage = nengo_gui.components.Voltage(b)
    raster = nengo_gui.components.Raster(b)
    net_graph = nengo_gui.components.NetGraph()
    sim_control = nengo_gui.components.SimControl()
    _viz_config[sim_control].shown_time = 0.5
    _viz_config[sim_control].kept_time = 4.0
"""
PLACES = {"value": (0.7, 0.7), "slider": (0.12, 0.7), "voltage": (0.4, 0.8), "raster": (0.4, 0.2)}
SECONDS = 120
"""What a page may take until it shows what is waited for."""


def layout() -> str:
    """A model's layout: its plots and where they are, as Nengo GUI saves it beside the model."""
    lines = textwrap.dedent(LAYOUT).strip().splitlines()
    for name, (x, y) in PLACES.items():
        sizes = {"x": x, "y": y, "width": 0.12, "height": 0.15}
        if name != "raster":
            sizes |= {"min_value": -1 if name != "voltage" else 0, "max_value": 1}
        lines += [f"_viz_config[{name}].{key} = {value}" for key, value in sizes.items()]
    names = (*PLACES, "net_graph", "sim_control")
    return re.sub(rf"\b({'|'.join(names)})\b(?= =|\])", r"_viz_\1", "\n".join(lines)) + "\n"


def wait_for(what: Callable[[], Any], why: str) -> Any:
    """Wait until a function returns something true."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{why} within {SECONDS} s")


class Page:
    """The page of Nengo GUI, and what a user does with it.

    The server answers some time after a button was pressed or the code was changed, and reads
    the code and the buttons in threads of their own. What must follow an answer waits for it.
    """

    def __init__(self, driver: Any):
        self.driver = driver

    @property
    def time(self) -> float:
        """Simulated time that the page shows, in seconds."""
        return float(self.driver.execute_script("return sim.time"))

    @property
    def is_paused(self) -> bool:
        """Whether it pauses: the server has said so, and nobody has pressed the button since.

        The server sends no time after it.
        """
        script = """
            const icon = document.getElementById('pause_button_icon');
            return sim.paused && icon.classList.contains('glyphicon-play');
        """
        return bool(self.driver.execute_script(script))

    @property
    def labels(self) -> list[str]:
        """Labels of what is drawn of the model."""
        script = "return [...document.querySelectorAll('svg text')].map(text => text.textContent)"
        return list(self.driver.execute_script(script))

    @property
    def errors(self) -> str:
        """What the page shows of errors, below the editor."""
        return str(self.driver.find_element(By.ID, "console_error").text)

    def curve(self) -> list[float]:
        """Where the curve of the decoded value is, in pixels from above, oldest first."""
        script = """
            const plot = [...document.querySelectorAll('div.graph')].find(
                graph => graph.querySelector('path.line') && graph.innerText.trim()[0] === 'a');
            return (plot && plot.querySelector('path.line').getAttribute('d')) || '';
        """
        points = re.findall(r"[ML][-\d.e]+,([-\d.e]+)", self.driver.execute_script(script))
        return [float(y) for y in points]

    def press(self, button: str) -> None:
        wait_for(
            lambda: self.driver.find_element(By.ID, button).is_enabled(), f"{button} was not ready"
        )
        self.driver.execute_script(f"document.getElementById('{button}').click()")

    def pause(self) -> None:
        if not self.is_paused:
            self.press("pause_button")
            wait_for(lambda: self.is_paused, "it did not pause")

    def go_on(self, until: Callable[[], Any] | None = None) -> None:
        """Run, by default until some simulated time has passed; other code begins at zero."""
        before = self.time
        wanted = until or (lambda: not before <= self.time <= before + 0.1)

        def reached() -> Any:
            if self.is_paused:
                self.press("pause_button")
            return wanted()

        wait_for(reached, "what was waited for has not come")

    def edit(self, code: str) -> None:
        """Put other code into the editor; the server reads it within some time after."""
        self.driver.execute_script(
            "ace.edit('editor').setValue(arguments[0])", textwrap.dedent(code).lstrip()
        )

    def load(self, code: str) -> None:
        """Put other code into the editor, and wait until the server has loaded it.

        It pauses then, and only who runs sees it: if the button is pressed before, the server may
        build what was there, or pause without a word to the page.
        """
        if self.is_paused:
            self.go_on()
        self.edit(code)
        wait_for(lambda: self.is_paused, "the code was not loaded")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Nengo GUI with a model; its address."""
    folder = tmp_path
    (folder / "model.py").write_text(textwrap.dedent(MODEL).lstrip())
    (folder / "model.py.cfg").write_text(layout())
    said = folder / "said"
    with said.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from nengo_gui.main import main; main()"),
                *("--backend", "nengograd", "--no-browser", "--auto-shutdown", "0"),
                *("--port", "0", str(folder / "model.py")),  # one that is free
            ],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        found = wait_for(
            lambda: re.search(r"(http://\S+)\s", said.read_text()), "the GUI has not begun"
        )
        yield found[1]
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    profile = tmp_path_factory.mktemp("profile")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,800"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: Any, server: str) -> Page:
    """The page with the model, which does not run yet."""
    driver.get(server)
    # The editor is filled by the server: what is written into it before would be lost.
    script = """
        return typeof sim !== 'undefined' && Boolean(sim && sim.ws) && sim.ws.readyState === 1
            && Boolean(Nengo.ace) && Nengo.ace.current_code !== '';
    """
    wait_for(lambda: driver.execute_script(script), "the page did not load")
    page = Page(driver)
    wait_for(lambda: {"stimulus", "a", "b"} <= {*page.labels}, "the model is not drawn")
    return page


def test_the_plots_move_while_the_model_runs(page: Page) -> None:
    page.go_on()
    before = wait_for(page.curve, "no curve is drawn")
    wait_for(lambda: page.curve() != before, "the curve does not move")


def test_a_slider_changes_what_the_model_decodes(page: Page) -> None:
    page.go_on(until=lambda: len(page.curve()) >= 50)
    handle = page.driver.find_element(By.CSS_SELECTOR, "div.graph .btn.btn-default")
    before = sum(page.curve()[-50:]) / 50
    ActionChains(page.driver).drag_and_drop_by_offset(handle, 0, -50).perform()
    # The vertical axis of a page points down.
    wait_for(lambda: sum(page.curve()[-50:]) / 50 < before - 10, "the decoded value does not rise")


def test_a_pause_keeps_the_state(page: Page) -> None:
    page.go_on()
    page.pause()
    stopped = page.time
    time.sleep(0.5)
    assert page.time == stopped > 0.1
    page.go_on()
    assert page.time > stopped


def test_reset_begins_at_zero(page: Page) -> None:
    page.go_on()
    wait_for(lambda: page.time > 0.5, "no simulated time has passed")
    page.press("reset_button")
    wait_for(lambda: page.is_paused, "it does not pause")
    # A step that was under way may have shown its own time once more.
    page.driver.execute_script(
        """
        const update = sim.schedule_update;
        sim.least = Infinity;
        sim.schedule_update = () => {
            sim.least = Math.min(sim.least, sim.time);
            update.call(sim);
        };
        """
    )
    page.go_on(until=lambda: page.driver.execute_script("return sim.least < 0.4"))
    page.go_on()


def test_other_code_is_loaded_and_runs(page: Page) -> None:
    page.load(MODEL + "        c = nengo.Ensemble(10, 1, label='third one')\n")
    wait_for(lambda: "third one" in page.labels, "the new ensemble is not drawn")
    page.go_on()


def broken(options: str) -> str:
    return f"""{MODEL}
        odd = nengo.Node(lambda t, x: x / None, size_in=1, label="a broken one"{options})
        nengo.Connection(a, odd)
"""


def test_a_model_that_cannot_be_read_shows_its_error_and_can_be_mended(page: Page) -> None:
    page.go_on()
    # Nengo calls a node's function for its size.
    page.edit(broken(""))
    wait_for(lambda: "TypeError" in page.errors, "there is no error")
    assert "a broken one" not in page.labels
    page.load(MODEL)
    wait_for(lambda: not page.errors, "the error stays")
    page.go_on()


def test_a_model_that_fails_in_a_step_shows_its_error_and_can_be_mended(page: Page) -> None:
    page.load(broken(", size_out=1"))
    wait_for(lambda: "a broken one" in page.labels, "the new node is not drawn")
    assert not page.errors
    page.go_on(until=lambda: "TypeError" in page.errors)
    page.load(MODEL)
    wait_for(lambda: not page.errors, "the error stays")
    page.go_on()
