"""The image of the server: its recipe, the wheel that it installs, and the command that it runs."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from conftest import ROOT
from effort import PATIENCE
from serving import fitted
from test_serve import TOKEN, serving
from test_wheel import wheel as wheel  # a fixture

RECIPE = ROOT / "examples" / "serve" / "Dockerfile"
INSTRUCTIONS = {"FROM", "COPY", "RUN", "USER", "WORKDIR", "ENV", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
INSTRUCTIONS |= {"ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    lines = re.sub(r"\\\n", " ", RECIPE.read_text(encoding="utf-8")).splitlines()
    return [(line.split()[0], line.partition(" ")[2]) for line in lines if line and not line.startswith("#")]


def command(name: str) -> list[str]:
    (text,) = (rest for instruction, rest in instructions() if instruction == name)
    words: list[str] = json.loads(text)  # in the form without a shell, so that signals reach the server
    return words


def test_the_recipe_is_well_formed_has_another_user_than_root_and_calls_nobody() -> None:
    names = [name for name, _ in instructions()]
    assert names[0] == "FROM"
    assert set(names) <= INSTRUCTIONS
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert int(next(rest for name, rest in instructions() if name == "USER")) > 0
    text = RECIPE.read_text(encoding="utf-8")
    assert "HF_HUB_OFFLINE=1" in text
    runs = [rest for name, rest in instructions() if name == "RUN"]
    assert [run for run in runs if "pip" in run] == [
        'pip install --no-cache-dir --no-index --find-links /wheels "antibody_esm[serve]" && rm -r /wheels'
    ]
    assert not re.search(r"https?://(?!127\.0\.0\.1)", text)
    page = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
    for folder in (rest.split()[0].rstrip("/") for name, rest in instructions() if name == "COPY"):
        assert re.search(rf"\b{folder}\b", page), "the page says how it is made"


def test_the_wheel_installs_without_an_index_in_a_clean_environment_and_the_command_of_the_image_serves(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    options = ["--quiet", "--no-index", "--find-links", str(wheel.parent), "--no-deps", "antibody_esm[serve]"]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *options], check=True, timeout=PATIENCE)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # the dependencies of this environment
    (tmp_path / "none").mkdir()
    (tmp_path / "token").write_text(TOKEN)
    model = fitted("heavy").save(tmp_path / "model")  # type: ignore[union-attr]
    here = {"/srv/model": model, "/srv/language-model": tmp_path / "none", "/run/secrets/token": tmp_path / "token"}
    words = [str(here.get(word, word)) for word in [*command("ENTRYPOINT"), *command("CMD")]]
    words[0] = str(environment / "bin" / words[0])
    words[words.index("--port") + 1] = "0"
    with serving(model, tmp_path, command=words, path=[], HF_HUB_OFFLINE="1") as server:
        assert str(environment).encode() in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        healthy = next(rest for name, rest in instructions() if name == "HEALTHCHECK").partition("CMD ")[2]
        check = [word.replace(":8000", f":{server.port}") for word in json.loads(healthy)]
        assert subprocess.run([str(python), *check[1:]], check=False, timeout=PATIENCE).returncode == 0
        assert server.ask("/model", token="")[0] == 401
        assert server.ask("/model")[0] == 200
        assert server.end() == 143
        assert server.called() <= {"127.0.0.1", "0.0.0.0"}, "its own addresses"  # noqa: S104
