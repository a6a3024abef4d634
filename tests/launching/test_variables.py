"""Environment files, read as systemd reads them."""

from __future__ import annotations

import pytest

from training_watch.launching.variables import variables


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("A=b", {"A": "b"}, id="a plain value"),
        pytest.param("A=b c  \n", {"A": "b c"}, id="blanks inside are kept, at the end they aren't"),
        pytest.param("  A = b\n", {"A": "b"}, id="blanks around the name and the sign are nothing"),
        pytest.param(
            "# A=1\n; B=2\n\nC=3\nnonsense\n", {"C": "3"}, id="comments and other lines are passed over"
        ),
        pytest.param("# one \\\nA=1\nB=2", {"A": "1", "B": "2"}, id="a backslash doesn't continue a comment"),
        pytest.param("A=b\\ ", {"A": "b "}, id="a blank at the end is kept by a backslash"),
        pytest.param("A=b\\", {"A": "b"}, id="a backslash at the very end is nothing"),
        pytest.param("A=b # c", {"A": "b # c"}, id="a number sign later in a line is no comment"),
        pytest.param("A='b \\ \"c\" '", {"A": 'b \\ "c" '}, id="single quotes are literal"),
        pytest.param(r'A="b \"c\" \$d \\ \n"', {"A": r'b "c" $d \ \n'}, id="double quotes know four escapes"),
        pytest.param("A='one\nB=two'\nC=3", {"A": "one\nB=two", "C": "3"}, id="a quoted value spans lines"),
        pytest.param('A="b\\\nc"', {"A": "bc"}, id="a backslash joins lines within double quotes"),
        pytest.param("A=b\\\nc", {"A": "bc"}, id="a backslash joins lines"),
        pytest.param(r"A=C:\\dir\ x", {"A": r"C:\dir x"}, id="a backslash takes the next character as it is"),
        pytest.param("A=it's", {"A": "it's"}, id="a quote in the middle is a letter"),
        pytest.param("A='b'\"c\"d", {"A": "bcd"}, id="quoted parts are joined"),
        pytest.param("A=$B/%h", {"A": "$B/%h"}, id="nothing is expanded"),
        pytest.param("A=1\nA=2", {"A": "2"}, id="the later one wins"),
        pytest.param("A=\nB=''\n", {"A": "", "B": ""}, id="an empty value is a value"),
        pytest.param("2A=1\nexport B=2", {}, id="what is no name is passed over"),
        pytest.param("A=b\r\nC=d\r\n", {"A": "b", "C": "d"}, id="a file from Windows is read"),
    ],
)
def test_an_environment_file_is_read_as_systemd_reads_it(text: str, read: dict[str, str]) -> None:
    assert variables(text) == read
