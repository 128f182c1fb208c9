"""Signals that come when an exception would be lost."""

from __future__ import annotations

import os
import signal
import sys
import time
import weakref
from collections.abc import Callable

import pytest
from pydantic import BaseModel, field_serializer
from stylectl.tools.console.signals import Stopped, stop_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")


def send() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Signalling(BaseModel):
    """Model in whose serialiser a signal comes."""

    value: int = 1

    @field_serializer("value")
    def _serialised(self, value: int) -> int:
        send()
        return value


def serialise() -> None:
    Signalling().model_dump()


def finalise() -> None:
    model = Signalling()
    weakref.finalize(model, send)
    del model


@pytest.mark.parametrize("code", [serialise, finalise])
def test_a_signal_that_would_be_lost_comes_a_little_later(
    code: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with stop_signals():
        code()  # raises nothing, and prints nothing
        assert capsys.readouterr().err == ""
        with pytest.raises(Stopped):
            time.sleep(10)
