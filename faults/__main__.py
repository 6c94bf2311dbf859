"""The campaign: one line for each kind of fault, then what was lost; exit code 1 if anything was lost."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable

from faults import disks, fuzz, inputs, kills, memory, sharing, signals, streams, texts
from faults.outcome import Outcome

# Name and function of each kind; at scale 1 all together take ten minutes on two cores.
KINDS: dict[str, Callable[[float, int], Outcome]] = {
    "checkpoint-fuzz": fuzz.checkpoints,
    "tokenizer-fuzz": fuzz.tokenizer_files,
    "nbest-fuzz": fuzz.nbest_lists,
    "arpa-fuzz": fuzz.arpa_files,
    "text-fuzz": texts.texts,
    "long-lines": texts.long_lines,
    "resume-fuzz": fuzz.resume_files,
    "SIGKILL": kills.sigkill,
    "signals": signals.signals,
    "many-stops": signals.many_stops,
    "terminal-closed": signals.terminal_closed,
    "disk-full": disks.disk_full,
    "read-only-folder": disks.read_only_folder,
    "text-changed": inputs.text_changed,
    "clock-set-back": inputs.clock_set_back,
    "streams-closed": streams.streams_closed,
    "memory-limit": memory.memory_limit,
    "two-runs": sharing.two_runs,
    "shared-cache": sharing.shared_cache,
    "damaged-cache": sharing.damaged_cache,
}
_WIDTH = max(map(len, KINDS))
_MOST_SHOWN = 10  # sentences of a kind


def main(arguments: list[str]) -> int:
    """Run the kinds that are named, or all. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="kinds of faults; all when none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the campaign: 0.01 is a hundredth of it")
    parser.add_argument("--seed", type=int, default=1, help="seed of all random choices")
    parser.add_argument("--list", action="store_true", help="only name the kinds")
    asked = parser.parse_args(arguments)
    unknown = [kind for kind in asked.kinds if kind not in KINDS]
    if unknown:
        parser.error(f"there is no kind {unknown[0]}: --list names them")
    if not asked.scale > 0:
        parser.error(f"--scale is {asked.scale}: it must be above 0")
    if asked.list:
        print("\n".join(KINDS))
        return 0
    _take_signals()
    print(f"{'kind':<{_WIDTH}}  {'tried':>7}  {'survived':>8}  {'lost':>5}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        # For the processes that are started, too: no cache of this user helps, or grows.
        os.environ["XDG_CACHE_HOME"] = folder
        outcomes = [_run(kind, asked.scale, asked.seed) for kind in asked.kinds or KINDS]
    return 1 if any(outcome.lost for outcome in outcomes) else 0


def _take_signals() -> None:
    """Handle signals: a campaign in the background ignores them, and its child processes would ignore them too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def _run(kind: str, scale: float, seed: int) -> Outcome:
    outcome = KINDS[kind](scale, seed)
    print(f"{kind:<{_WIDTH}}  {outcome.tried:>7,}  {outcome.survived:>8,}  {len(outcome.lost):>5,}")
    for sentence in outcome.lost[:_MOST_SHOWN]:
        print(f"  {sentence}")
    if len(outcome.lost) > _MOST_SHOWN:
        print(f"  and {len(outcome.lost) - _MOST_SHOWN:,} more")
    for sentence in outcome.skipped:
        print(f"  skipped: {sentence}")
    sys.stdout.flush()
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
