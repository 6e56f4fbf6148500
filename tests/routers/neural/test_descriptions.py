from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from routereval.errors import DataError
from routereval.routers.neural.descriptions import WORDS, read_descriptions, vector_of


def test_numbers_are_taken_as_they_are_and_models_without_them_have_zeros(tmp_path: Path) -> None:
    file = tmp_path / "models.json"
    file.write_text(json.dumps({"a": [1, 2], "c": [3, 4], "other": [5, 6]}))
    vectors, known = read_descriptions(file, ("a", "b", "c"))
    assert vectors.tolist() == [[1, 2], [0, 0], [3, 4]]
    assert known.tolist() == [True, False, True]


def test_a_csv_file_has_numbers_or_texts(tmp_path: Path) -> None:
    numbers, texts = tmp_path / "numbers.csv", tmp_path / "texts.csv"
    numbers.write_text("a,1,2\nb,3,4\n")
    texts.write_text('a,"seven billion, code"\nb,seven billion, code\n')
    assert read_descriptions(numbers, ("b", "a"))[0].tolist() == [[3, 4], [1, 2]]
    vectors, known = read_descriptions(texts, ("a", "b"))
    assert known.all()
    assert np.array_equal(*vectors)


def test_a_text_becomes_a_direction_that_like_texts_share() -> None:
    first, alike, other = (vector_of(t, "m") for t in ("a large code model", "a small code model", "poetry in French"))
    assert first.shape == (WORDS,)
    np.testing.assert_allclose(np.linalg.norm(first), 1, rtol=1e-6)
    assert first @ alike > 0.3 > first @ other


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "cannot be read"),
        ("a.json", "[1]", "no object of models"),
        ("a.json", '{"x": [1]}', "describes 1 models, none of the 2 of the pool: a, "),
        ("a.json", '{"a": [1], "b": [1, 2]}', "describes models by 1 to 2 numbers"),
        ("a.json", '{"a": {"size": 7}}', "a: a description is a text, or a list of finite numbers"),
        ("a.json", '{"a": [NaN]}', "finite numbers"),
        ("a.csv", "a\n", "1 lines have a model and nothing else, first 'a'"),
    ],
)
def test_a_file_that_does_not_describe_the_models_is_refused(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_descriptions(tmp_path / name, ("a", "b"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        read_descriptions(tmp_path / "none.json", ("a",))
