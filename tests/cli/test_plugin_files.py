"""Plugins that the command line loads from where they lie."""

import json
import sys

import pytest

from nengograd.cli import main

MODEL = """
import nengo
with nengo.Network(seed=0) as model:
    nengo.Probe(nengo.Ensemble(20, 1))
"""
PLUGIN = """
import nengo, nengograd
from nengograd.builtin.neurons import NEURONS

class {name}(type(NEURONS[nengo.LIF])):
    pass

@nengograd.hookimpl
def nengograd_neurons(backend):
    return {{nengo.LIF: {name}()}}
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def profiled(model, *options):
    out = model.parent / "p.json"
    command = ["profile", str(model), "--backend", "numpy", "--no-progress", "--steps", "10"]
    assert main([*command, "-o", str(out), *map(str, options)]) == 0
    return json.loads(out.read_text())


@pytest.mark.parametrize("is_package", [False, True])
def test_a_plugin_is_loaded_from_its_file_or_folder(model, is_package):
    name = "plugin_in_folder" if is_package else "plugin_in_file"
    path = model.parent / (name if is_package else f"{name}.py")
    if is_package:
        path.mkdir()
        (path / "own.py").write_text(PLUGIN.format(name="Packed"))
        (path / "__init__.py").write_text("from .own import nengograd_neurons\n")
    else:
        path.write_text(PLUGIN.format(name="Single"))
    builders = {b["builder"] for b in profiled(model, "--plugin", path)["builders"]}
    assert ("Packed" if is_package else "Single") in builders
    assert main(["explain", str(model), "--plugin", str(path)]) == 0
    picture = str(model.parent / "a.svg")
    assert main(["graph", str(model), "-o", picture, "--plugin", str(path)]) == 0


USES = {
    "neuron": "nengo.Probe(nengo.Ensemble(20, 1, neuron_type={module}.{kind}()).neurons)",
    "process": "nengo.Probe(nengo.Node({module}.{kind}(), size_in=1))",
    "synapse": "nengo.Probe(nengo.Ensemble(20, 1), synapse={module}.{kind}())",
    "learning-rule": "pre, post = nengo.Ensemble(9, 1), nengo.Ensemble(9, 1)\n"
    "    nengo.Connection(pre.neurons, post.neurons, transform=np.zeros((9, 9)),\n"
    "        learning_rule_type={module}.{kind}())",
    "operator": "nengo.Probe({module}.{kind}(1))",
    "backend": "nengo.Probe(nengo.Ensemble(20, 1))",
    "pass": "nengo.Probe(nengo.Ensemble(20, 1))",
}


@pytest.mark.parametrize("kind", USES)
def test_commands_take_plugins_of_every_kind_that_are_not_installed(kind, tmp_path, monkeypatch):
    name = f"apart-{kind}"
    module = name.replace("-", "_")
    monkeypatch.setattr("sys.path", list(sys.path))
    assert main(["new-plugin", name, "--kind", kind, "--folder", str(tmp_path)]) == 0
    (package,) = tmp_path.rglob(f"{module}/__init__.py")
    use = USES[kind].format(module=module, kind="".join(map(str.title, name.split("-"))))
    script = tmp_path / "model.py"
    # Only the plugin's own file tells where it lies.
    script.write_text(
        f"import nengo\nimport numpy as np\nimport {module}\n"
        f"with nengo.Network(seed=0) as model:\n    {use}\n"
    )
    options = ["--plugin", str(package.parent)]
    backend = ["--backend", name if kind == "backend" else "numpy"]
    out = str(tmp_path / "p.json")
    for command in (
        ["explain", str(script)],
        ["graph", str(script), "-o", str(tmp_path / "a.svg")],
        ["run", str(script), "--time", "0.01", "--no-progress", *backend],
        ["profile", str(script), "--steps", "10", "--no-progress", "-o", out, *backend],
    ):
        assert main([*command, *options]) in (0, None)


def test_a_script_is_measured_in_turn_without_the_plugin(model, capsys):
    path = model.parent / "plugin_against.py"
    path.write_text(PLUGIN.format(name="Mine"))
    data = profiled(model, "--repeat", 2, "--plugin", path, "--against", model)
    assert len(data["repeats"]) == 2
    assert all(len(block["repeats"]) == 2 for block in data["blocks"])
    assert "SparseLIFBuilder -> Mine" in capsys.readouterr().out


TYPE = """
import nengo, nengograd
from nengograd.builtin.neurons import NEURONS

class {name}(nengo.LIF):
    pass

class Builder(type(NEURONS[nengo.LIF])):
    pass

class Plugin:
    @nengograd.hookimpl
    def nengograd_neurons(self, backend):
        return {{{name}: Builder()}}

plugin = Plugin()

@nengograd.hookimpl
def nengograd_neurons(backend):
    return {{{name}: Builder()}}
"""
IMPORTING = """
import nengo
from {module} import {name}
with nengo.Network(seed=0) as model:
    nengo.Probe(nengo.Ensemble(20, 1, neuron_type={name}()).neurons)
"""


def all_commands(script, plugin, folder):
    """Run each command that takes a model; where a builder is missing, there is a warning."""
    given = ["--plugin", str(plugin)]
    run = ["--no-progress", "--backend", "numpy"]
    for command in (
        ["explain", str(script)],
        ["graph", str(script), "-o", str(folder / "a.svg")],
        ["run", str(script), "--time", "0.01", *run],
        ["profile", str(script), "--steps", "10", "-o", str(folder / "p.json"), *run],
    ):
        assert main([*command, *given]) == 0, command


@pytest.mark.filterwarnings("error:.*has no builder")
def test_a_script_imports_from_a_plugin_that_lies_elsewhere(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "scripts").mkdir()
    plugin = tmp_path / "plugins" / "plugin_elsewhere.py"
    plugin.write_text(TYPE.format(name="Elsewhere"))
    script = tmp_path / "scripts" / "model.py"
    script.write_text(IMPORTING.format(module="plugin_elsewhere", name="Elsewhere"))
    all_commands(script, plugin, tmp_path)


@pytest.mark.filterwarnings("error:.*has no builder")
@pytest.mark.parametrize("source", ["", "src"])
@pytest.mark.parametrize("point", ["{package}", "{package}.own", "{package}.own:plugin"])
def test_a_folder_that_can_be_installed_is_loaded_by_its_entry_points(tmp_path, source, point):
    package = "plugin_project_" + "".join(c for c in source + point if c.isalpha())
    folder = tmp_path / "project" / source / package
    folder.mkdir(parents=True)
    (folder / "own.py").write_text(TYPE.format(name="Projected"))
    (folder / "__init__.py").write_text("from .own import Projected, nengograd_neurons\n")
    (tmp_path / "project" / "pyproject.toml").write_text(
        f'[project.entry-points.nengograd]\nmine = "{point.format(package=package)}"\n'
    )
    script = tmp_path / "model.py"
    script.write_text(IMPORTING.format(module=package, name="Projected"))
    all_commands(script, tmp_path / "project", tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no plugin: [project.entry-points.nengograd] has a line for each"),
        ('[project.entry-points.other]\na = "b"', "names no plugin"),
        ('[project.entry-points.nengograd]\na = "b.c:d"', "has no 'b', which its pyproject.toml"),
        ("[project", "pyproject.toml"),
    ],
)
def test_a_project_without_a_plugin_is_told_what_it_lacks(model, capsys, text, complaint):
    folder = model.parent / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(text)
    assert main(["explain", str(model), "--plugin", str(folder)]) == 2
    assert complaint in capsys.readouterr().err


def test_what_is_no_plugin_file_is_named(model, capsys):
    (model.parent / "empty").mkdir()
    for path, complaint in (("none.py", "there is no"), ("empty", "has no __init__.py")):
        place = str(model.parent / path)
        assert main(["explain", str(model), "--plugin", place]) == 2
        assert complaint in capsys.readouterr().err


def test_an_error_in_a_plugin_is_shown_with_its_own_traceback(model, capsys):
    path = model.parent / "broken_plugin.py"
    path.write_text("1 / 0\n")
    assert main(["explain", str(model), "--plugin", str(path)]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "before it was loaded" in error


@pytest.mark.parametrize("is_disabled", [False, True])
def test_a_plugin_that_is_installed_is_said_to_count_on_both_sides(
    model, capsys, monkeypatch, is_disabled
):
    path = model.parent / f"plugin_twice_{is_disabled}.py"
    path.write_text(PLUGIN.format(name="Twice"))
    # What an installer leaves of a distribution.
    info = model.parent / "twice-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: twice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[nengograd]\ntwice = {path.stem}\n")
    monkeypatch.syspath_prepend(str(model.parent))
    monkeypatch.setenv("NENGOGRAD_DISABLE_PLUGINS", "twice" if is_disabled else "none_of_them")
    profiled(model, "--repeat", 2, "--plugin", path, "--against", model)
    said = "twice of --plugin is installed, too" in capsys.readouterr().err
    assert said is not is_disabled
