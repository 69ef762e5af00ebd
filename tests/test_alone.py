"""What the tests start by itself is listened to without a word lost."""

import os
import tempfile

from alone import written


def test_reading_does_not_move_the_place_of_who_writes() -> None:
    with tempfile.TemporaryFile("a+") as output:
        program = os.dup(output.fileno())
        os.write(program, b"begun, ")
        os.lseek(program, 3, os.SEEK_SET)
        assert written(output) == "begun, "
        assert os.lseek(program, 0, os.SEEK_CUR) == 3
        os.close(program)
