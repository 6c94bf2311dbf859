"""The command as a process among others: what it imports, pipes, signals, full disks, terminals, and two runs alike."""

import errno
import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from rnngen import checkpoint

COMMANDS = ["train", "sample", "score", "perplexity", "tokenize", "info"]
TEXT = (
    "the bell is slow to wake,\nthe ferry knows no king;\nand all the tide can take\nis what the tide will bring.\n"
    * 12
)
SMALL = ("--hidden-size", 16, "--threads", 1)
FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def _text(tmp_path):
    (tmp_path / "verse.txt").write_text(TEXT)


def wait_for(condition, process):
    """Until the condition holds; fails if the process ends before, or after a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


# What is imported.


def imported(command_lines):
    """Run them in one process; which heavy libraries each one found loaded or loaded."""
    watch = """if True:
        import json, sys
        from rnngen.cli.app import run
        loaded = {}
        for line in json.loads(sys.argv[1]):
            assert run(line.split()) == 0, line
            loaded[line] = sorted({"torch", "rich", "numpy", "typer"} & set(sys.modules))
        print("LOADED", json.dumps(loaded), file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", watch, json.dumps(command_lines)], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.decode().rsplit("LOADED", 1)[1])


def test_help_imports_neither_torch_nor_rich_nor_numpy():
    lines = ["--help", "--version", *(f"{name} --help" for name in COMMANDS)]
    assert imported(lines) == {line: ["typer"] for line in lines}


@pytest.mark.parametrize("model", ["char", "subword"])
def test_using_a_model_on_a_cpu_imports_no_torch(model, models):
    lines = [f"{command} {models[model]}" for command in (
        "info", "tokenize verse.txt --stats -m", "score verse.txt --tokens -m", "perplexity verse.txt -m",
        "sample --length 5 -m")]  # fmt: skip
    assert imported(lines) == {line: ["numpy", "typer"] for line in lines}


# Pipes.


@pytest.mark.parametrize("command", ["sample --length 1000000", "sample -n 100000 --length 9", "score big.txt",
                                     "score big.txt --tokens --json", "tokenize big.txt"])  # fmt: skip
def test_a_closed_pipe_ends_the_command_quietly(start, models, tmp_path, command):
    (tmp_path / "big.txt").write_text(TEXT * 400)
    child = start(*command.split(), "-m", models["char"], "-q")
    child.stdin.close()  # an empty prompt
    assert child.stdout.read(1)
    child.stdout.close()
    assert child.wait(60) in (0, -signal.SIGPIPE)
    assert child.stderr.read() == b""


def test_the_pipeline_of_the_readme_works(shell, models):
    line = "rnngen sample -q -n 100 --length 60 | rnngen score -q --no-header - | sort -k2,2gr | head -n 5"
    result = shell(f"export RNNGEN_MODEL={models['lines']}; {line}")
    assert (result.code, result.err) == (0, "")
    best = [float(row[1]) for row in result.rows]
    assert len(best) == 5
    assert best == sorted(best, reverse=True)


@pytest.mark.parametrize("command", ["score", "perplexity", "tokenize --level byte", "tokenize"])
def test_standard_input_is_one_text_to_every_command_however_short(rnngen, models, monkeypatch, command):
    monkeypatch.setenv("RNNGEN_MODEL", models["char"])
    piped, filed = (rnngen(*command.split(), source, stdin=TEXT.encode()) for source in ("-", "verse.txt"))
    assert piped == filed
    assert piped.code == 0
    assert piped.out


def test_a_named_pipe_is_a_text(shell, models):
    line = f"mkfifo pipe; cat verse.txt > pipe & rnngen perplexity -q pipe -m {models['char']}"
    piped = shell(line)
    filed = shell(f"rnngen perplexity -q verse.txt -m {models['char']}")
    assert (piped.code, piped.out, piped.err) == (0, filed.out, "")


def test_a_line_is_scored_before_the_next_one_comes(start, models):
    child = start("score", "-", "-m", models["char"], "-q")
    child.stdin.write(b"Haul\n")
    child.stdin.flush()
    written = b""
    while not written.endswith(b"\tHaul\n"):  # the header may come by itself
        ready, _, _ = select.select([child.stdout], [], [], 60)
        assert ready
        written += os.read(child.stdout.fileno(), 1000)
    assert child.poll() is None


def test_a_run_goes_on_when_its_messages_are_not_read(start, tmp_path):
    child = start("train", "verse.txt", "--steps", 10, *SMALL)
    child.stderr.close()
    out, _ = child.communicate(timeout=120)
    assert (child.returncode, out) == (0, b"checkpoints/verse.safetensors\n")
    checkpoint.load(tmp_path / out.decode().strip())


def test_a_run_whose_output_is_not_read_keeps_its_checkpoint(start, tmp_path):
    child = start("train", "verse.txt", "--steps", 5, *SMALL, "-q")
    child.stdout.close()
    assert child.wait(60) == 0
    assert child.stderr.read() == b""
    checkpoint.load(tmp_path / "checkpoints/verse.safetensors")


@pytest.mark.parametrize(
    ("closed", "command", "code", "said"),
    [
        (">&-", "score verse.txt", 1, "standard output"),
        (">&-", "info", 1, "standard output"),
        ("<&-", "score -", 1, "standard input"),
        ("<&-", "perplexity -", 1, "standard input"),
        ("<&-", "sample --prompt-file -", 1, "standard input"),
        ("2>&-", "sample --length 3 --prompt Haul --temp 0", 0, ""),
        ("2>&-", "score missing.txt", 1, ""),
    ],
)
def test_a_standard_stream_that_is_closed_gives_no_traceback(shell, models, closed, command, code, said):
    result = shell(f"export RNNGEN_MODEL={models['char']}; rnngen {command} {'-q' * (closed != '2>&-')} {closed}")
    assert result.code == code
    assert said in result.err
    assert result.err.count("\n") == bool(said)
    assert "rnngen:" not in result.out
    assert "model:" not in result.out
    if code:
        assert result.out == ""


# Full disks.


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "train --help", "sample --length 9", "sample -n 3 --json", "info"]
    + [f"{name} verse.txt" for name in ("score", "perplexity", "tokenize")],
)
def test_a_full_disk_behind_stdout_gives_one_line(process, models, monkeypatch, command):
    monkeypatch.setenv("RNNGEN_MODEL", models["char"])
    name, *options = command.split()
    with FULL.open("wb") as full:
        result = process(name, *["-q"] * (not name.startswith("-") and "--help" not in options), *options, stdout=full)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "No space left on device" in result.err


@pytest.mark.parametrize(
    ("command", "output", "limit"),
    [
        ("train verse.txt --steps 5 --hidden-size 128 --threads 1 -o", "checkpoints/m.safetensors", 30_000),
        ("tokenize verse.txt --level byte --save", "tokens.json", 8),
    ],
)
def test_a_disk_that_fills_up_loses_nothing(process, contents, tmp_path, command, output, limit):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / output).write_bytes(b"what was there")
    before = contents()

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    result = process(*command.split(), output, "--force", "-q", preexec_fn=fill)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert os.strerror(errno.EFBIG) in result.err
    assert output in result.err
    assert contents() == before


# Signals.


def logged(path, event):
    return path.exists() and path.read_text().count(f'"event": "{event}"')


def test_an_interrupted_run_saves_the_best_so_far(start, tmp_path):
    log = tmp_path / "log.jsonl"
    child = start("train", "verse.txt", "--time", "10m", *SMALL, "--log", log)
    wait_for(lambda: logged(log, "validation"), child)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, b"checkpoints/verse.safetensors\n")
    assert b"interrupted" in err
    assert b"Traceback" not in err
    loaded = checkpoint.load(tmp_path / out.decode().strip())
    validations = [record for line in log.read_text().splitlines()
                   if (record := json.loads(line))["event"] == "validation"]  # fmt: skip
    assert loaded.training["valid_loss_nats"] == min(record["valid_loss_nats"] for record in validations)
    assert loaded.training["stopped_by"] == "stopped"
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["verse.resume.safetensors", "verse.safetensors"]


@pytest.mark.parametrize("command", [["sample", "--prompt", "Haul", "--length", "100000000"], ["score", "-"]])
def test_ctrl_c_ends_a_command_without_a_traceback(start, models, command):
    child = start(*command, "-m", models["char"], "-q")
    if command[0] == "score":
        child.stdin.write(b"Haul\n")
        child.stdin.flush()
    assert child.stdout.read(1)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err in (b"", b"rnngen: interrupted\n")


def test_a_killed_run_leaves_a_whole_checkpoint_and_its_resume_file(start, tmp_path):
    log, path = tmp_path / "log.jsonl", tmp_path / "checkpoints/verse.safetensors"
    child = start("train", "verse.txt", "--time", "10m", "--hidden-size", 256, "--batch-size", 2, "--bptt", 8,
                  "--threads", 1, "--log", log, "-q")  # fmt: skip
    wait_for(lambda: logged(log, "step") and logged(log, "validation") >= 2, child)
    child.kill()
    child.wait()
    loaded = checkpoint.load(path)
    assert loaded.training["stopped_by"] is None
    assert loaded.history[-1]["valid_loss_nats"] is not None
    # A hidden temporary file may be left; nothing that looks like a checkpoint but the file to go on with.
    assert set(path.parent.glob("[!.]*")) - {path} == {path.with_name("verse.resume.safetensors")}


# Runs alike.


def test_the_same_seed_and_steps_give_the_same_bytes_in_two_processes(start, tmp_path):
    runs = [start("train", "verse.txt", "--steps", 10, "--seed", 7, "--num-layers", 2, *SMALL, "-q", "-o", name)
            for name in ("one", "two")]  # fmt: skip
    one, two = (tmp_path / child.communicate(timeout=120)[0].decode().strip() for child in runs)
    assert one != two
    weights, others = load_file(one), load_file(two)
    assert weights.keys() == others.keys()
    assert all(weight.tobytes() == others[name].tobytes() for name, weight in weights.items())
    assert checkpoint.load(one).training["valid_loss_nats"] == checkpoint.load(two).training["valid_loss_nats"]


def test_the_same_seed_gives_the_same_text_in_two_processes(process, models):
    first, second = (process("sample", "-m", models["char"], "--seed", 3, "--length", 200) for _ in range(2))
    assert first == second
    assert len(first.out) > 150


# Terminals.


def on_terminal(start, *arguments, stream):
    """Run with one standard stream on a terminal; the code, the other output, and what the terminal got."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "NO_COLOR": "1"}
    child = start(*arguments, env=env, **{stream: theirs})
    os.close(theirs)
    shown = b""
    try:
        # At its end Linux gives an error, other systems nothing.
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:
        pass
    finally:
        os.close(ours)
    out, err = child.communicate(timeout=60)
    return child.returncode, (out or b"") + (err or b""), shown.decode()


def test_on_a_terminal_a_run_shows_one_display_without_colour_when_asked(start):
    code, out, shown = on_terminal(start, "train", "verse.txt", "--steps", 80, *SMALL, stream="stderr")
    assert (code, out) == (0, b"checkpoints/verse.safetensors\n")
    for part in ("train loss", "validation", "tokens/s", "left", "sample", "%"):
        assert part in shown
    assert re.search("[▁▂▃▄▅▆▇█]", shown)
    assert "repeat:" in shown.split("\n")[-2]
    assert not re.search(r"\x1b\[[\d;]*\b[34][0-8]\b", shown)


def test_on_a_terminal_the_text_is_what_a_pipe_gets(start, models):
    arguments = ("sample", "-m", models["byte"], "--prompt", "[bold]😀", "--seed", 1, "--length", 40, "-q")
    _, _, shown = on_terminal(start, *arguments, stream="stdout")
    child = start(*arguments)
    assert shown.replace("\r\n", "\n") == child.communicate(timeout=60)[0].decode()
    assert shown.startswith("[bold]😀")


def test_without_a_text_on_a_terminal_it_does_not_wait_for_one(start):
    code, said, _ = on_terminal(start, "train", stream="stdin")
    assert code == 2
    assert said.count(b"\n") == 1
    assert b"marrowmere.txt" in said
    assert b"names.txt --lines" in said
