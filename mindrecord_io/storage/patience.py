"""How long a store is waited for, as the environment sets it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["TOTAL_SECONDS_VARIABLE", "Patience"]

TOTAL_SECONDS_VARIABLE = "CLIPMILL_STORE_SECONDS"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store is waited for.

    Attributes:
      total_seconds: from the first request until it is an error.
      request_seconds: until a range is asked for once more beside the first request;
        longer for a range of megabytes.
      notice_seconds: of waiting, until it is logged.
    """

    total_seconds: float = 300.0
    request_seconds: float = 30.0
    notice_seconds: float = 30.0

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ
    ) -> "Patience":
        """Returns the patience in CLIPMILL_STORE_SECONDS, in all; without it 300."""
        given = environment.get(TOTAL_SECONDS_VARIABLE, "300")
        try:
            total = float(given)
        except ValueError:
            total = 0.0
        if not 0.0 < total < float("inf"):
            raise ValueError(
                f"{TOTAL_SECONDS_VARIABLE} must be a number above 0, got {given!r}"
            )
        return cls(total, *(min(30.0, total / 4),) * 2)
