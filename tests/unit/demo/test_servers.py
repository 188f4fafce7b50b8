import pytest

from mailer.demo.servers import PortTaken, bind, origin, port_of


def test_a_free_port_is_found_and_told() -> None:
    with bind(0) as listener:
        assert origin(listener) == f"http://127.0.0.1:{port_of(listener)}"


def test_a_taken_port_is_refused_with_the_next_step() -> None:
    with bind(0) as listener, pytest.raises(PortTaken, match="choose another --port"):
        bind(port_of(listener))


def test_a_port_that_does_not_exist_is_refused() -> None:
    with pytest.raises(PortTaken, match="65536"):
        bind(65536)
