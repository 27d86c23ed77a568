"""A new plugin of each kind passes its own tests as it is written."""

import os
import subprocess
import sys
from importlib.util import find_spec
from xml.etree import ElementTree

import pytest

from nengograd.cli import main

KINDS = ("neuron", "process", "synapse", "learning-rule", "operator", "backend", "pass")
HOOKS = {
    "neuron": "neurons",
    "process": "processes",
    "synapse": "processes",
    "learning-rule": "lowering",
    "operator": "lowering, nengograd_operators",
    "backend": "backends",
    "pass": "passes",
}


def write(folder, name="nengograd-mycells", kind="neuron"):
    assert main(["new-plugin", name, "--kind", kind, "--folder", str(folder)]) == 0
    return folder / name


def install(root, package):
    """What an installer leaves beside a package: its name and its entry points."""
    info = root / f"{package}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {root.name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[nengograd]\n{package} = {package}\n")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A folder with a new plugin of each kind, and an environment in which all are installed."""
    folder = tmp_path_factory.mktemp("plugins")
    roots = [write(folder, f"nengograd-my-{kind}", kind) for kind in KINDS]
    for root in roots:
        install(root, root.name.replace("-", "_"))
    path = os.pathsep.join([*map(str, roots), os.environ.get("PYTHONPATH", "")])
    return folder, {**os.environ, "PYTHONPATH": path}


def python(plugins, *arguments, inside="."):
    folder, environment = plugins
    command = [sys.executable, "-m", *arguments]
    cwd = folder / inside
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def own_tests(plugins, chosen):
    """Run the tests of all plugins that an expression of pytest chooses: outcomes by kind."""
    report = plugins[0] / "report.xml"
    done = python(
        plugins,
        *("pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", "-p", "no:nengo"),
        *("--import-mode=importlib", "--rootdir=.", f"--junitxml={report}", "-k", chosen, "."),
    )
    assert report.exists(), done.stdout + done.stderr
    found = {kind: [] for kind in KINDS}
    for case in ElementTree.parse(report).iter("testcase"):
        (kind,) = [k for k in KINDS if f"nengograd-my-{k}." in case.get("classname") + "."]
        found[kind].append(case[0].tag if len(case) else "passed")
    return found, done.stdout


@pytest.fixture(scope="module")
def outcomes(plugins):
    return own_tests(plugins, "not jax and not tensorflow")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_of_each_kind_passes_its_own_tests(kind, outcomes):
    found, printed = outcomes
    assert "passed" in found[kind]
    assert set(found[kind]) <= {"passed", "skipped"}, printed


@pytest.mark.slow
@pytest.mark.needs("jax")
def test_new_plugins_pass_their_own_tests_on_a_backend_that_compiles(plugins):
    found, printed = own_tests(plugins, "jax")
    assert {o for kind in KINDS for o in found[kind]} <= {"passed", "skipped"}, printed
    # What a backend is checked on is itself.
    assert [kind for kind in KINDS if "passed" not in found[kind]] == ["backend"]


def test_new_plugins_are_found_with_their_hooks(plugins):
    listed = python(plugins, "nengograd", "plugins", "--backend", "numpy").stdout
    for kind in KINDS:
        name = f"nengograd-my-{kind}"
        package = name.replace("-", "_")
        assert f"{name} 0.1.0  {package}\n    nengograd_{HOOKS[kind]}\n" in listed
    assert "  my-backend  usable" in listed
    assert "MyNeuron" in listed


def test_a_new_backend_is_no_default(plugins):
    folder, environment = plugins
    alone = folder, {**environment, "NENGOGRAD_DISABLE_PLUGINS": "jax, tensorflow"}
    listed = python(alone, "nengograd", "plugins", "--backend", "numpy").stdout
    assert "  my-backend  usable; " in listed
    assert "  numpy  usable, preferred; " in listed


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
def test_new_plugins_are_formatted_and_have_nothing_to_complain_of(plugins):
    for kind in KINDS:
        rules = "--select=B,C4,E,F,I,PT,SIM,UP,W", "--ignore=E501", "--target-version=py311"
        for command in (["check", *rules], ["format", "--check"]):
            options = *command, "--isolated", "--no-cache"
            done = python(plugins, "ruff", *options, inside=f"nengograd-my-{kind}")
            assert done.returncode == 0, done.stdout + done.stderr


def test_names_follow_from_the_name_of_the_distribution(tmp_path):
    root = write(tmp_path, "two-cells")
    text = (root / "two_cells" / "__init__.py").read_text()
    assert "class TwoCells(" in text
    assert 'two_cells = "two_cells"' in (root / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("nengograd-mycells", "Mycells"),
        ("nengograd_cells", "Cells"),
        ("a-b9", "AB9"),
        ("nengograd-neuron-builder", "NeuronBuilderNeuron"),
    ],
)
def test_the_class_has_a_name_that_python_allows_and_nothing_else_has(tmp_path, name, class_name):
    root = write(tmp_path, name)
    text = (root / name.replace("-", "_") / "__init__.py").read_text()
    compile(text, name, "exec")
    assert f"class {class_name}(" in text
    assert f"class {class_name}Builder(NeuronBuilder)" in text


@pytest.mark.parametrize(
    ("kind", "name", "class_name"),
    [
        ("process", "process-builder", "ProcessBuilderProcess"),
        ("synapse", "nengograd-number-param", "NumberParamSynapse"),
        ("learning-rule", "nengograd-outer", "OuterRule"),
        ("operator", "nengograd-operator", "OperatorNode"),
        ("operator", "nengograd-outer", "Outer"),
    ],
)
def test_what_a_module_imports_keeps_its_name(tmp_path, kind, name, class_name):
    root = write(tmp_path, name, kind)
    text = (root / name.replace("-", "_") / "__init__.py").read_text()
    compile(text, name, "exec")
    assert f"class {class_name}(" in text


def test_what_to_do_next_is_said_for_the_folder_it_is_in(tmp_path, capsys):
    root = write(tmp_path / "with space")
    assert f"cd '{root}' && pip install" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["new-plugin", "mycells", "--folder", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        *("Cells", "9cells", "my cells", "my.cells", "../up", "class", ""),
        *("nengograd", "numpy", "json", "nengograd-9cells", "nengograd-none"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_written(tmp_path, name, capsys):
    assert main(["new-plugin", name, "--folder", str(tmp_path)]) == 2
    assert "name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nengograd-auto", "auto", "xla"])
def test_a_backend_cannot_be_called_what_nengograd_calls_something(tmp_path, name, capsys):
    arguments = ["new-plugin", name, "--kind", "backend", "--folder", str(tmp_path)]
    assert main(arguments) == 2
    assert "choose another name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_not_known_is_refused_with_those_that_are(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["new-plugin", "nengograd-mine", "--kind", "plugin", "--folder", str(tmp_path)])
    said = capsys.readouterr().err
    assert all(kind in said for kind in KINDS)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path, capsys):
    write(tmp_path)
    before = (tmp_path / "nengograd-mycells" / "README.md").stat().st_mtime_ns
    assert main(["new-plugin", "nengograd-mycells", "--folder", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "nengograd-mycells" / "README.md").stat().st_mtime_ns == before
