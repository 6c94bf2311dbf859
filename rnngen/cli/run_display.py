"""A training run on the terminal: the notes before it, the display while it trains, the notes after it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

from rnngen import work
from rnngen.cli.output import Console, drop_stdout, for_stdout
from rnngen.cli.progress import Progress
from rnngen.cli.signals import Stop, stop_at_signals
from rnngen.errors import OutputError
from rnngen.printable import decimal, plural
from rnngen.runs.events import Ended, Event, ResumeSaved, Started
from rnngen.tokenizers.unknowns import note as unknowns_note


def show(events: Iterator[Event], stop: Stop, console: Console) -> int:
    """Show a run to its end; the checkpoint's path goes to stdout.

    Args:
        events: from `rnngen.runs`.
        stop: what the run asks whether it should stop; signals set it while the run trains.

    Returns:
        The exit code: 0, or that of the signal that ended the run.
    """
    started = next(events)
    assert isinstance(started, Started)
    _announce(started, console)
    can_go_on, ended = started.resumed_after is not None, None
    try:
        with (
            Progress(console, started) as progress,
            work.listening(progress.hear),
            stop_at_signals(stop, progress.say),
        ):
            for event in events:
                progress.take(event)
                can_go_on = can_go_on or isinstance(event, ResumeSaved)
                ended = event if isinstance(event, Ended) else None
    except (KeyboardInterrupt, OutputError):
        _say_how_to_go_on(can_go_on, started, console)
        raise
    assert ended is not None
    was_stopped = ended.finished.reason == "stopped"
    if ended.output:
        _report(ended, started, console)
    if was_stopped:
        _say_how_to_go_on(can_go_on, started, console)
    if ended.output:
        _print_path(ended)
    if ended.log_error:
        raise ended.log_error
    return stop.exit_code if was_stopped else 0


def _print_path(ended: Ended) -> None:
    try:
        print(for_stdout(str)(str(ended.output)), flush=True)
    except OSError as error:
        # The pipe or the terminal is closed: nobody reads the path any more.
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        drop_stdout()


def _announce(started: Started, console: Console) -> None:
    dataset, plan = started.dataset, started.plan
    model = plan.model
    console.note(
        f"text: {dataset.survey.n_chars:,} characters; {len(dataset.train.ids):,} {dataset.tokenizer.level} tokens "
        f"to train on, {len(dataset.valid.ids):,} to validate on; vocabulary {model.vocab_size:,}"
    )
    for name, tokens in (("text to train on", dataset.train), ("validation text", dataset.valid)):
        share = f"the {name}, {_share(tokens.n_unknown, len(tokens.ids))} of its tokens unknown,"
        console.note(unknowns_note(tokens.n_unknown, tokens.first_unknown, share, "unk"))
    if dataset.reused:
        console.note("tokens: reused from the cache (rnngen tokenize --clear-cache removes them)")
    budget = f"{plan.seconds:g} s" if plan.seconds else plural(plan.steps or 0, "step")
    parts = [f"n-grams up to {model.ngram_order}"] if model.ngram_order else []
    if model.has_network:
        layers = f"{plural(model.num_layers, 'layer')} of {model.hidden_size}"
        cell = f"bidirectional {model.cell}" if model.bidirectional else model.cell
        cell = f"tagger of {model.n_words:,} words with {model.n_tags} tags, {cell}" if model.is_tagger else cell
        parts = [cell, layers, *parts, f"{model.n_parameters:,} parameters; {budget}"]
        parts += [f"seed {plan.seed}", plural(plan.threads, "thread"), plan.precision]
    console.note(f"model: {', '.join(parts)}")
    n_counted = min(len(dataset.train.ids), plan.ngram_tokens)
    if model.ngram_order and n_counted < len(dataset.train.ids):
        console.note(f"n-grams: those of {n_counted:,} tokens, in pieces from all of the text, are counted")
    for reason in plan.slower:
        console.note(f"slower: {reason}")
    for note in started.notes:
        console.note(note)
    if started.resumed_after is not None:
        console.note(f"goes on after step {started.resumed_after:,}")


def _report(ended: Ended, started: Started, console: Console) -> None:
    record, finished = ended.training, ended.finished
    why = {
        "budget": "",
        "patience": ", stopped by --patience",
        "stopped": ", interrupted",
        "overdue": f", ended {finished.steps - finished.step:,} steps early: the machine slowed down",
    }[finished.reason]
    n_tokens = plural(record["n_tokens"], "token")
    model = started.plan.model
    if model.has_network:
        # A tagger's tokens are words, and those of its text characters.
        epochs = "" if model.is_tagger else f" ({record['n_tokens'] / record['n_train_tokens']:.1f} epochs)"
        console.note(
            f"trained: {plural(record['steps'], 'step')}, {n_tokens}{epochs} in {record['seconds']:.1f} s, "
            f"{record['tokens_per_second']:,} tokens/s{why}"
        )
        kept = f"step {record['best_step']:,}" if record["best_step"] else "the counts alone"
        kept = f"{kept}, {model.n_parameters:,} parameters"
    else:
        console.note(f"counted: {n_tokens} in {record['seconds']:.1f} s")
        kept = "the counts"
    _report_losses(f"kept: {kept}", record, console)
    for reason in started.plan.slower:
        console.note(f"slower: {reason}")
    if record["repeat"]:
        console.note(f"repeat: {record['repeat']}")


def _report_losses(kept: str, record: dict[str, Any], console: Console) -> None:
    losses = ("train_loss_nats", "valid_loss_nats", "valid_bits_per_char")
    train, valid, bits = (None if record[name] is None else decimal(record[name]) for name in losses)
    measure, name, _ = _perplexity_of(record)
    console.note(
        f"{kept}; {'' if train is None else f'train loss {train}, '}validation loss {valid} nats a token, "
        f"{'' if bits is None else f'{bits} bits a character, '}{measure} {decimal(record[name], 3)}"
    )
    has_unknown = record["n_unknown_train_tokens"] or record["n_unknown_valid_tokens"]
    if has_unknown and record["known_valid_loss_nats"] != record["valid_loss_nats"]:
        console.note(_without_unknown(record))


def _without_unknown(record: dict[str, Any]) -> str:
    share = _share(record["n_unknown_valid_tokens"], record["n_valid_tokens"])
    measure, _, name = _perplexity_of(record)
    names = {"known_train_loss_nats": 4, "known_valid_loss_nats": 4, name: 3}
    train, valid, perplexity = (
        "-" if record[name] is None else decimal(record[name], digits) for name, digits in names.items()
    )
    return (
        f"without the unknown symbol ({share} of the validation tokens): train loss {train}, "
        f"validation loss {valid} nats a token, {measure} {perplexity}"
    )


def _perplexity_of(record: dict[str, Any]) -> tuple[str, str, str]:
    """What a person reads, and the keys of its value with and without the unknown symbol."""
    if "valid_perplexity" in record:
        return "perplexity", "valid_perplexity", "known_valid_perplexity"
    return "pseudo-perplexity", "valid_pseudo_perplexity", "known_valid_pseudo_perplexity"


def _share(count: int, of: int) -> str:
    """A share that is not nothing is not shown as nothing."""
    return "<0.01%" if 0 < count < 0.0001 * of else f"{count / of:.2%}"


def _say_how_to_go_on(can_go_on: bool, started: Started, console: Console) -> None:
    with contextlib.suppress(OSError):
        if can_go_on and started.resume_path.exists():
            console.note(f"go on: {started.go_on}")
