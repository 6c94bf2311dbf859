"""What `import rnngen` gives: quick, with public names that are imported on demand, and without the command line."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rnngen


def run(code: str, **variables: str) -> str:
    """What a Python program prints, in a process of its own."""
    env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"} | variables
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_rnngen_imports_nothing_else():
    code = "import sys; before = {*sys.modules, '__future__'}; import rnngen; print(set(sys.modules) - before)"
    assert run(code) == "{'rnngen'}\n"


def test_every_public_name_is_there_and_listed():
    assert rnngen.__all__ == sorted(rnngen.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert set(rnngen.__all__) == set(rnngen._MODULE_OF)
    assert set(rnngen.__all__) <= set(dir(rnngen))
    assert [name for name in rnngen.__all__ if getattr(rnngen, name).__name__ != name] == []


def test_type_checkers_see_the_names_that_python_sees():
    tree = ast.parse(Path(rnngen.__file__).read_text("utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == rnngen._MODULE_OF


def test_a_name_that_does_not_exist_is_an_ordinary_error():
    with pytest.raises(AttributeError, match="module 'rnngen' has no attribute 'lode'"):
        _ = rnngen.lode


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # import torch raises ImportError
import rnngen
model = rnngen.load(PATH)
print("".join(model.sample("h", temperature=0, length=4)))
print(next(iter(model.samples(rnngen.SampleConfig(temperature=0, length=2), "h"))).text)
print(next(iter(model.score(["hello"]))).totals.n_tokens)
print(round(model.measure(text="hello\\n").estimate("perplexity").value))
print(model.decode(model.encode("hello")), model.start().step("h").most_likely(1)[0][0], model.layers().counts)
print(sorted({name.split(".")[1] for name in sys.modules if name.startswith("rnngen.")} & {"cli", "training"}))
"""


def test_a_model_is_used_without_torch_and_without_the_command_line(hello_file):
    found = run(WITHOUT_TORCH.replace("PATH", repr(str(hello_file))))
    assert found.splitlines() == ["ello", "el", "6", "1", "hello e None", "[]"]


WITHOUT_CLI = """
import sys
sys.modules |= dict.fromkeys(("rnngen.cli", "typer", "rich"))  # importing them raises ImportError
import rnngen
from rnngen.evaluate import predictors, report
from rnngen.evaluate.classification import classify
from rnngen.evaluate.interpolation import mix
from rnngen.evaluate.rescoring import best_hypotheses, rescore
from rnngen.runs.events import Stepped
from rnngen.runs.resume import resume
from rnngen.text.corpus import StringText

hello = rnngen.load(PATH)
text, steps = "hello\\n" * 50, []
options = rnngen.ModelOptions(hidden_size=4, ngram_order=0)
training = rnngen.TrainConfig(steps=4, threads=1)
for event in rnngen.training_events(
    text=text, output="stopped", model=options, training=training, should_stop=lambda: len(steps) > 1
):
    if isinstance(event, Stepped):
        steps.append(event.step)
*_, ended = resume("stopped", text=text)
small = rnngen.load(ended.output)
print("resumed", steps, ended.finished.step, small.training["steps"])

nbest = ["0 ||| olleh ||| 0 ||| -1\\n", "0 ||| hello ||| 0 ||| -1\\n"]
lines = [line for block in rescore(hello.network, hello.tokenizer, [nbest], "moses") for line in block]
print("best", [hypothesis.text for hypothesis in best_hypotheses(lines, "moses", weight=1)])

models = {"hello": (hello.network, hello.tokenizer), "small": (small.network, small.tokenizer)}
print("classified", [line.model for block in classify(models, [["hello\\n"]]) for line in block])

[one], [other] = ([*model.score(["hello"])] for model in (hello, small))
print("mixed", bool((mix(one.logprobs, other.logprobs, 0.5) >= other.logprobs - 1).all()))

both = [predictors.network_predictor(name, *model) for name, model in models.items()]
measured = predictors.measure(both, StringText(text))
records = [report.model_record("hello", measured[0]), *report.pair_records(list(models), measured)]
print("reported", [record["record"] for record in records], records[0]["n_tokens"])
"""


def test_what_the_commands_do_is_called_without_the_command_line(hello_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(WITHOUT_CLI.replace("PATH", repr(str(hello_file)))).splitlines() == [
        "resumed [1, 2] 4 4",
        "best ['hello']",
        "classified ['hello']",
        "mixed True",
        "reported ['model', 'pair'] 300",
    ]


@pytest.mark.parametrize("given", [None, "20"])
def test_waiting_threads_of_numpy_sleep_soon_unless_the_user_has_set_otherwise(given):
    variables = {"OPENBLAS_THREAD_TIMEOUT": given} if given else {}
    code = "import sys, os, rnngen; print('numpy' in sys.modules, os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    assert run(code, **variables) == f"False {given or 18}\n"


ENGINE = "from rnngen.engine import compiled; print(compiled.LIBRARY is None, compiled.description())"


def test_the_compiled_recurrence_is_switched_off_by_a_variable():
    assert run(ENGINE, RNNGEN_COMPILED="0") == ("True {'recurrence': 'numpy', 'because': '$RNNGEN_COMPILED is 0'}\n")
    assert run(ENGINE, RNNGEN_COMPILED="1") == run(ENGINE, RNNGEN_COMPILED="") == run(ENGINE)


def test_a_wrong_value_of_the_variable_is_one_line(hello_file):
    env = {**os.environ, "RNNGEN_COMPILED": "off"}
    command = [sys.executable, "-m", "rnngen", "info", str(hello_file), "-q"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    message = "rnngen: $RNNGEN_COMPILED is 'off': it must be 1 (compiled) or 0 (numpy)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
