"""A person's own words: what is read, and what is refused with one sentence."""

import pytest

from headstart.errors import BadData, UsageError
from headstart.instructions.files import LONGEST, MOST, read


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lines_are_instructions(tmp_path):
    words = read(written(tmp_path, "mine.txt", "# what I want\n\n  Go to the well. \nStop at the rock.\r\n"))
    assert words.instructions == ("Go to the well.", "Stop at the rock.")
    assert not words.descriptions


def test_toml_holds_instructions_and_descriptions(tmp_path):
    path = written(tmp_path, "mine.toml", "instructions = ['Go.']\n[descriptions]\nrock = ' hard and grey '\n")
    words = read(path, things=["rock", "well"])
    assert (words.instructions, words.descriptions) == (("Go.",), {"rock": "hard and grey"})


def test_a_mark_of_byte_order_is_no_word(tmp_path):
    assert read(written(tmp_path, "mine.txt", b"\xef\xbb\xbfGo.")).instructions == ("Go.",)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("mine.txt", "", "says nothing"),
        ("mine.txt", "# only this\n \n", "says nothing"),
        ("mine.toml", "", "says nothing"),
        ("mine.toml", "instructions = []", "says nothing"),
        ("mine.txt", b"caf\xe9", "not UTF-8"),
        ("mine.txt", "word " * 20_000, "line 1 has 99,999 characters|line 1 has 100,000 characters"),
        ("mine.txt", "go\n" * (MOST + 1), "1,001 instructions"),
        ("mine.toml", "instructions = 'go'", "must be a list"),
        ("mine.toml", "instructions = ['go', ' ']", "instruction 2 is empty"),
        ("mine.toml", "instructions = [1]", "instruction 1 is no text"),
        ("mine.toml", "descriptions = 'rock'", "must be a table"),
        ("mine.toml", "[descriptions]\nrok = 'hard'", "does not have; the nearest is 'rock'"),
        ("mine.toml", "words = ['go']", "unknown key 'words'"),
        ("mine.toml", "instructions = [", "not TOML"),
    ],
)
def test_what_is_no_use_is_refused_with_a_sentence(tmp_path, name, content, says):
    path = written(tmp_path, name, content)
    with pytest.raises(BadData, match=says) as caught:
        read(path, things=["rock", "well"])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_thousand_instructions_are_read_and_so_are_long_ones(tmp_path):
    assert len(read(written(tmp_path, "mine.txt", "go\n" * MOST)).instructions) == MOST
    assert read(written(tmp_path, "mine.txt", "a" * LONGEST)).instructions[0] == "a" * LONGEST


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path)


def test_a_world_without_things_has_nothing_to_describe(tmp_path):
    with pytest.raises(BadData, match="nothing that can be described"):
        read(written(tmp_path, "mine.toml", "[descriptions]\nrock = 'hard'"), things=[])
