"""JSON text: what is read, and what is none."""

import gc
import json
import os
import threading
from decimal import Decimal
from typing import Any

import pytest
from cases import goes_through
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from model_json import ENCODINGS, JSON, outcome_of

from sdk_core import codec
from sdk_core.codec.text import uncollected


@goes_through("text", ["NaN", "Infinity", "-Infinity", "[NaN]", "Decimal('1')", "1.", ".5", "+1", "01"])
def test_what_json_does_not_know_is_no_number(text: str) -> None:
    """Python's parser knows NaN; JSON does not."""
    with pytest.raises(codec.NotJsonError):
        codec.parse(text.encode())


BLANKS = st.text(" \t\r\n", max_size=3)


@fuzzed(38)
@given(
    st.binary(max_size=30)
    | st.builds(
        lambda *parts: "".join(parts[:-1]).encode(parts[-1], "surrogatepass"),
        BLANKS,
        JSON.map(json.dumps),
        BLANKS,
        st.sampled_from(["", "", "x", "\x00", "\ufeff", " {}", "\xa0"]),
        st.sampled_from(ENCODINGS),
    )
)
@example(b'"\xed\xa0\x80"')
@example(b"\x0c1")
@example(b"1\x00")
@example(b"[]\xa0")
def test_parse_reads_what_json_loads_reads(text: bytes) -> None:
    """In all its encodings, and nothing else."""

    def expected(text: bytes) -> Any:
        return json.loads(text, parse_float=Decimal)

    assert outcome_of(codec.parse, text) == outcome_of(expected, text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_that_is_forked_while_a_large_text_is_read_collects_garbage() -> None:
    """The thread that reads, and would switch it on again, does not exist in the child."""
    begun, end = threading.Event(), threading.Event()

    def read() -> None:
        with uncollected():
            begun.set()
            end.wait(10)

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(10)
    assert not gc.isenabled()
    child = os.fork()
    if child == 0:
        os._exit(0 if gc.isenabled() else 1)
    end.set()
    reader.join()
    assert os.waitpid(child, 0)[1] == 0
    assert gc.isenabled()
