"""Moonshine's tokens: read from its file, written as text, and divided again as the model divides them."""

import pytest

from sottovoce.engines.moonshine.tokenizer import Tokenizer

MERGES = ["▁t", "he", "▁the", "an", ".", ",", "▁", "t", "h", "e", "a", "n", "▁an", "<<ST_0>>", "é"]
FIRST = 259


def entry(token: bytes) -> bytes:
    count = len(token)
    return (bytes([count]) if count < 128 else bytes([128 + count % 128, count // 128])) + token


def written(path, merges=MERGES):
    tokens = [b"<unk>", b"<s>", b"</s>", *(bytes([n]) for n in range(256)), *(each.encode() for each in merges)]
    path.write_bytes(b"".join(map(entry, tokens)))
    return path


@pytest.fixture
def tokenizer(tmp_path) -> Tokenizer:
    return Tokenizer(written(tmp_path / "tokenizer.bin"))


def test_pairs_are_merged_in_the_order_of_their_numbers(tokenizer):
    assert tokenizer.encode(" the") == [FIRST + MERGES.index("▁the")]
    assert tokenizer.encode(" an") == [FIRST + MERGES.index("▁an")]
    # `he` comes before `an`: it is merged first, and no pair with it is a token
    assert tokenizer.encode("han") == [FIRST + MERGES.index("h"), FIRST + MERGES.index("an")]


def test_marks_are_tokens_of_their_own_and_not_their_bytes(tokenizer):
    assert tokenizer.encode(" the.") == [FIRST + MERGES.index("▁the"), FIRST + MERGES.index(".")]


def test_what_no_token_covers_is_written_in_bytes(tokenizer):
    assert tokenizer.encode("ü") == [3 + byte for byte in "ü".encode()]
    assert tokenizer.encode("é") == [FIRST + MERGES.index("é")]
    assert tokenizer.text(tokenizer.encode(" the ü the.")) == "the ü the."


def test_a_text_comes_in_words_and_marks_with_the_number_of_their_tokens(tokenizer):
    tokens = tokenizer.encode(" the, ü.")
    assert tokenizer.pieces(tokens) == [(" the", 1), (",", 1), (" ü", 3), (".", 1)]
    assert sum(count for _, count in tokenizer.pieces(tokens)) == len(tokens)


def test_control_tokens_and_unknown_numbers_have_no_text(tokenizer):
    assert tokenizer.text([1, FIRST + MERGES.index("▁the"), FIRST + MERGES.index("<<ST_0>>"), 2, 999_999]) == "the"


def test_a_long_token_has_its_length_in_two_bytes(tmp_path):
    long = "▁" * 100  # 300 bytes
    tokenizer = Tokenizer(written(tmp_path / "tokenizer.bin", [*MERGES, long]))
    assert len(tokenizer) == FIRST + len(MERGES) + 1
    assert tokenizer.text([FIRST, FIRST + len(MERGES)]) == "t"


@pytest.mark.parametrize("data", [b"", b"\x05<unk>", b"\xff", entry(b"<unk>") + b"\x09abc"])
def test_another_file_is_refused(tmp_path, data):
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="tokenizer"):
        Tokenizer(path)
