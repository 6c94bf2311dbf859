"""What came of one kind of fault."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """A kind of fault, made many times.

    Attributes:
        tried: how many times.
        lost: a sentence for each time that did not end as it must: which, and what was seen.
        skipped: a sentence for what this machine does not allow to try, which is not counted.
    """

    kind: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def survived(self) -> int:
        return self.tried - len(self.lost)
