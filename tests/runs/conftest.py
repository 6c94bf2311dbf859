"""Small runs without the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_runs import PLAY, SMALL, follow

from rnngen.config import ModelOptions, TokenizerConfig, TrainConfig
from rnngen.runs.events import Event
from rnngen.runs.request import Request
from rnngen.runs.run import run


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., Request]:
    """A function: options of TrainConfig, ModelOptions, TokenizerConfig and Request in one, to a small Request."""

    def make(text: str | None = PLAY, output: str = "play", **options: Any) -> Request:
        groups: dict[type, dict[str, Any]] = {TrainConfig: dict(SMALL), ModelOptions: {}, TokenizerConfig: {}}
        groups[ModelOptions] = {} if "init_from" in options else {"hidden_size": 16}
        for kind, values in groups.items():
            values |= {name: options.pop(name) for name in list(options) if name in kind.__dataclass_fields__}
        tokenizer = TokenizerConfig(**groups[TokenizerConfig]) if groups[TokenizerConfig] else None
        return Request(
            text=None if "paths" in options else text,
            output=tmp_path / "checkpoints" / f"{output}.safetensors",
            training=TrainConfig(**groups[TrainConfig]),
            model=ModelOptions(**groups[ModelOptions]),
            tokenizer=tokenizer,
            **options,
        )

    return make


@pytest.fixture
def run_of(request_of: Callable[..., Request]) -> Callable[..., list[Event]]:
    """A function: what `request_of` takes, to the events of the run; `stop_after` stops it at this step."""

    def make(*arguments: Any, stop_after: int | None = None, **options: Any) -> list[Event]:
        request = request_of(*arguments, **options)
        return follow(lambda should_stop: run(request, should_stop=should_stop), stop_after)

    return make
