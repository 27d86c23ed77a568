"""A new plugin passes its own tests as it is written."""

import os
import subprocess
import sys

import pytest

from nengograd.cli import main


def write(folder, name="nengograd-mycells"):
    assert main(["new-plugin", name, "--folder", str(folder)]) == 0
    return folder / name


def install(root, package):
    """What an installer leaves beside a package: its name and its entry points."""
    info = root / f"{package}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {root.name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[nengograd]\n{package} = {package}\n")


@pytest.mark.slow
def test_a_new_plugin_passes_its_own_tests(tmp_path):
    root = write(tmp_path)
    install(root, "nengograd_mycells")
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", "tests"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    listed = subprocess.run(
        [sys.executable, "-m", "nengograd", "plugins", "--backend", "numpy"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert "nengograd-mycells 0.1.0" in listed.stdout
    assert "Mycells" in listed.stdout


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


def test_a_folder_that_is_there_is_left_alone(tmp_path, capsys):
    write(tmp_path)
    before = (tmp_path / "nengograd-mycells" / "README.md").stat().st_mtime_ns
    assert main(["new-plugin", "nengograd-mycells", "--folder", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "nengograd-mycells" / "README.md").stat().st_mtime_ns == before
