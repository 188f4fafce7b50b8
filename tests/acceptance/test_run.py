"""`mailer run` from its start to its end: the roles that were named, and an end in good order."""

import json
import signal
from typing import Any

import pytest

from tests.support.waiting import wait_until


def processes(installation: Any) -> set[str]:
    return {one["role"] for one in installation.ask("status")["processes"] if one["alive"]}


def answers(browse: Any, installation: Any) -> bool:
    return browse(f"{installation.settings['base_url']}/healthz")[0] == 200


def test_all_roles_run_in_one_process(installation: Any, browse: Any) -> None:
    with installation.running():
        wait_until(lambda: answers(browse, installation))
        assert browse(f"{installation.settings['base_url']}/readyz")[0] == 200
        wait_until(lambda: processes(installation) == {"sender", "builder"})
        assert "no worker is running" not in installation.type("status")
    assert not answers(browse, installation)
    assert processes(installation) == set()
    assert "Traceback" not in installation.log()


@pytest.mark.parametrize(
    ("role", "alive", "listens"),
    [("web", set(), True), ("worker", {"sender"}, False), ("scheduler", {"builder"}, False)],
)
def test_only_the_role_that_is_named_runs(
    installation: Any, browse: Any, role: str, alive: set[str], listens: bool
) -> None:
    if role == "web":
        # It sends nothing, so that it may make links to itself whoever the relay is.
        installation.settings.update(smtp_url="smtp://relay.example")
    with installation.running(role):
        wait_until(lambda: f"running: {role}\n" in installation.log())
        wait_until(lambda: processes(installation) == alive)
        assert answers(browse, installation) is listens


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(installation: Any, browse: Any, number: signal.Signals) -> None:
    with installation.running() as process:
        wait_until(lambda: answers(browse, installation))
        process.send_signal(number)
        assert process.wait() == 0


def test_a_log_of_json_is_one_object_a_line(installation: Any, browse: Any) -> None:
    installation.settings.update(log_format="json", log_level="debug")
    with installation.running():
        wait_until(lambda: answers(browse, installation))
    lines = installation.log().splitlines()
    assert "running: web, scheduler, worker" in {json.loads(line)["message"] for line in lines}


@pytest.mark.parametrize(
    "fault",
    [
        "{% if %}",
        "{{ no_such_field }}",
        # Only the language of a newsletter brings it to light.
        "{% if dir == 'rtl' %}{{ no_such_field }}{% endif %}",
    ],
)
def test_a_template_that_fails_stops_the_start(installation: Any, fault: str) -> None:
    installation.type(
        *("newsletter", "add", "port", "--title", "Port", "--language", "ar"),
        *("--from", "Port <port@news.example>", "--postal-address", "1 Quay Street"),
    )
    (installation.folder / "own" / "mail").mkdir(parents=True)
    (installation.folder / "own" / "mail" / "digest.html").write_text(fault)
    installation.settings.update(templates=str(installation.folder / "own"))
    ended = installation.run("run")
    assert ended.returncode == 1
    assert "digest.html, line 1: " in ended.stderr
