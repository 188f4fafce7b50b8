"""What a form asks for, and how long people take."""

from datetime import timedelta

import pytest

from mailer.web.signup_form import FormErrors, SignupForm, check_form_time
from tests.support.factories import NOW

QUICK = "That was very quick. Press the button again."
OLD = "This page was open for a long time. Press the button again."


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"email": "a", "newsletter": "x"}, SignupForm(email="a", newsletters=("x",))),
        ({"newsletter": ["x", "y", 3]}, SignupForm(newsletters=("x", "y"))),
        ({"email": None, "schedule": ""}, SignupForm()),
        ({"email": {"a": 1}, "website": "x"}, SignupForm(honeypot="x")),
        ([], SignupForm()),
        (None, SignupForm()),
    ],
)
def test_json_is_read_like_a_form(data: object, expected: SignupForm) -> None:
    assert SignupForm.of_json(data) == expected


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(-5, QUICK), (0, QUICK), (1.9, QUICK), (2, ""), (86_400, ""), (86_401, OLD)],
)
def test_a_person_takes_from_two_seconds_to_a_day(seconds: float, says: str) -> None:
    errors = check_form_time(NOW, NOW + timedelta(seconds=seconds), str)
    assert (errors or FormErrors()).form == says
    # One that was not made here is old.
    assert check_form_time(None, NOW, str) == FormErrors(form=OLD)
