"""Values: what they equal, and how they show themselves."""

from __future__ import annotations

from dataclasses import field, replace

import pytest

from mailapp.value import value


@value(frozen=True)
class Login:
    user: str
    password: str = field(default="", repr=False)


@value(frozen=True)
class Other:
    user: str
    password: str = ""


def test_equal_content_of_one_class_is_equal() -> None:
    assert Login("alice", "x") == Login("alice", "x")
    assert Login("alice", "x") != Login("alice", "y")
    assert Login("alice") != Other("alice")
    assert replace(Login("alice"), password="x") == Login("alice", "x")


def test_no_value_is_a_key() -> None:
    with pytest.raises(TypeError):
        hash(Login("alice"))


def test_what_is_secret_is_not_shown() -> None:
    assert repr(Login("alice", "secret")) == "Login(user='alice')"


def test_own_methods_stay() -> None:
    @value(frozen=True)
    class Quiet:
        password: str

        def __repr__(self) -> str:
            return "Quiet()"

    assert repr(Quiet("secret")) == "Quiet()"
