"""Training on a text that changes, with a cache that is shared, cleared or cannot be written: in real processes."""

import time

import pytest

TEXT = "the bell is slow to wake, the ferry knows no king\n" * 100_000
STEPS = ("--steps", "2", "--hidden-size", "16", "--threads", "1", "--valid-fraction", "0.001", "-q")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "large.txt"
    path.write_text(TEXT)
    return path


def wait_for(folder, pattern, process):
    """Wait until a file is there, or the process has ended, as it may unseen on a busy machine."""
    while not any(folder.glob(pattern)) and process.poll() is None:
        time.sleep(0.001)


def append(path):
    with open(path, "a") as file:
        file.write("more\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (append, "changed while it was read: start again when nothing writes to it"),
        (lambda path: path.unlink(), "was removed while it was read: put it back and start again"),
    ],
    ids=["changed", "removed"],
)
@pytest.mark.parametrize("pattern", [".*.tokenizer.*.tmp", ".*.ids.*.tmp"], ids=["vocabulary", "ids"])
def test_a_text_that_changes_while_it_is_read_ends_the_run(start, text, tmp_path, change, message, pattern):
    for attempt in range(10):  # until the change comes in time
        text.write_text(TEXT)
        cache, model = tmp_path / f"cache{attempt}", tmp_path / f"{attempt}.safetensors"
        process = start("train", text, *STEPS, "-o", model, "--cache-dir", cache)
        wait_for(cache, pattern, process)
        change(text)
        out, err = process.communicate(timeout=120)
        if process.returncode != 0:
            break
    assert (process.returncode, out, err.decode()) == (1, b"", f"rnngen: {text} {message}\n")
    assert not model.exists()
    assert not list(cache.glob(".*")), "a temporary file is left"


def test_a_cache_that_is_cleared_while_it_is_written_costs_nothing_but_the_entry(start, rnngen, text, tmp_path):
    cache = tmp_path / "cache"
    process = start("train", text, *STEPS, "-o", tmp_path / "m.safetensors", "--cache-dir", cache)
    wait_for(cache, ".*.ids.*.tmp", process)
    assert rnngen("tokenize", "--clear-cache", "--cache-dir", cache).code == 0
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, b"")
    assert out.decode() == f"{tmp_path / 'm.safetensors'}\n"


def test_two_processes_on_one_cache_train_the_same_model(start, text, tmp_path):
    cache = tmp_path / "cache"
    names = [tmp_path / f"{name}.safetensors" for name in "ab"]
    processes = [start("train", text, *STEPS, "-o", name, "--cache-dir", cache) for name in names]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, b"")
    assert sorted(path.suffix for path in cache.iterdir()) == [".ids", ".ids", ".tokenizer"]


def test_a_cache_folder_that_cannot_be_made_is_an_error_before_training(process, text, tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "cache"
    result = process("train", text, *STEPS, "--cache-dir", folder)
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"rnngen: cannot keep the tokens in {folder}: Not a directory; "
        "name a folder with room that can be written, with --cache-dir\n"
    )


def test_no_name_for_the_cache_folder_is_not_taken_for_the_working_folder(rnngen, text, contents):
    before = contents().keys()
    for command in (["train", text, *STEPS], ["tokenize", "--clear-cache"]):
        result = rnngen(*command, "--cache-dir", "")
        assert (result.code, result.out) == (2, "")
        assert result.err == "rnngen: --cache-dir is empty: name a folder, or leave it out\n"
    assert contents().keys() == before


def test_a_text_as_the_cache_folder_is_refused_and_stays(rnngen, text):
    before = text.read_bytes()
    for command in (["train", text, *STEPS], ["tokenize", "--clear-cache"]):
        result = rnngen(*command, "--cache-dir", text)
        assert (result.code, result.out) == (1, "")
        assert result.err == f"rnngen: {text} is no folder to keep tokens in: name a folder with --cache-dir\n"
    assert text.read_bytes() == before
