from __future__ import annotations

from pathlib import Path

import pytest

from agentnb import config
from agentnb.config import Settings
from agentnb.errors import UsageError


def _write(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text, "utf-8")
    return file


def _fails(folder: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(UsageError) as raised:
        config.read(environ or {}, folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_without_a_file_the_usual_holds(tmp_path: Path) -> None:
    assert config.read({}, tmp_path) == Settings(connect=5.0, idle=600.0)


def test_everything_can_be_set_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "corp.pem").write_text("")
    _write(
        tmp_path,
        """
        [http]
        proxy = "proxy.example:3128"
        no_proxy = ["intranet.example", " .local "]
        ca_bundle = "corp.pem"
        connect = 2
        idle = 30.5
        [usage]
        max_cost = 0
        [agent]
        context = "notebook"
        [providers.mine]
        base_url = "https://models.example/v1"
        key = "MINE_KEY"
        think_tags = true
        """,
    )
    assert config.read({}, tmp_path) == Settings(
        proxy="http://proxy.example:3128",
        no_proxy=("intranet.example", ".local"),
        ca_bundle=tmp_path / "corp.pem",
        connect=2.0,
        idle=30.5,
        max_cost=0.0,
        context="notebook",
        providers={"mine": {"base_url": "https://models.example/v1", "key": "MINE_KEY", "think_tags": True}},
    )


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    _write(tmp_path, '[http]\nproxy = "http://a.example"\nconnect = 2\nidle = 3\n[usage]\nmax_cost = 1\n')
    bundle = tmp_path / "other.pem"
    bundle.write_text("")
    environ = {
        "AGENTNB_PROXY": " none ",
        "AGENTNB_CA_BUNDLE": str(bundle),
        "AGENTNB_CONNECT_TIMEOUT": "7.5",
        "AGENTNB_IDLE_TIMEOUT": " ",
        "AGENTNB_MAX_COST": "0.25",
    }
    assert config.read(environ, tmp_path) == Settings(
        proxy="none", ca_bundle=bundle, connect=7.5, idle=3.0, max_cost=0.25
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[http\n", "is not TOML: "),
        ("[http]\nproxy = 1\n", "http.proxy is not the address of a proxy"),
        ("[http]\nproxy = ''\n", "http.proxy is not the address of a proxy"),
        ("[http]\nprxy = 'x'\n", "[http] has no 'prxy'. Did you mean 'proxy'? It has: proxy, no_proxy, ca_bundle"),
        ("[htp]\n", "there is no table [htp]. Did you mean 'http'?"),
        ("http = 1\n", "http is a table. Write it as [http]"),
        ("[http]\nno_proxy = [1]\n", "http.no_proxy takes a list of hosts"),
        ("[http]\nca_bundle = 1\n", "http.ca_bundle takes the path"),
        ("[http]\nconnect = 0\n", "http.connect takes a number of seconds above 0, not '0'."),
        ("[http]\nconnect = true\n", "http.connect takes a number of seconds above 0"),
        ("[http]\nidle = inf\n", "http.idle takes a number of seconds above 0"),
        ("[usage]\nmax_cost = -1\n", "usage.max_cost takes an amount in USD, not '-1'."),
        ("[providers]\nmine = 1\n", "Write it as [providers.mine]"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file(tmp_path: Path, text: str, said: str) -> None:
    file = _write(tmp_path, text)
    error = _fails(tmp_path)
    assert str(file) in error
    assert said in error


def test_a_line_that_is_no_toml_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "[http]\nconnect 5\n")
    assert "line 2" in _fails(tmp_path)


def test_a_home_that_is_a_file_has_no_settings(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    assert config.read({"AGENTNB_HOME": str(tmp_path / "home")}) == config.read({"AGENTNB_HOME": str(tmp_path)})


def test_a_file_of_other_bytes_or_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    assert "is not TOML" in _fails(tmp_path)
    (tmp_path / "a" / "config.toml").mkdir(parents=True)
    assert "cannot be read" in _fails(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENTNB_PROXY", "ftp://user:secret-word@host"),
        ("AGENTNB_PROXY", "http://user:secret-word@"),
        ("AGENTNB_PROXY", "http://[user:secret-word"),
        ("AGENTNB_CONNECT_TIMEOUT", "soon"),
        ("AGENTNB_IDLE_TIMEOUT", "-1"),
        ("AGENTNB_MAX_COST", "nan"),
        ("AGENTNB_CA_BUNDLE", "/no/such/file.pem"),
    ],
)
def test_a_mistake_in_a_variable_is_named_and_no_password_shown(tmp_path: Path, name: str, value: str) -> None:
    error = _fails(tmp_path, {name: value})
    assert name in error
    assert "secret-word" not in error


def test_the_proxys_password_is_nowhere_shown() -> None:
    settings = Settings(proxy="http://someone:p%40ssword@proxy.example:3128")
    assert "ssword" not in repr(settings)
    assert settings.hidden == ("p@ssword",)
    assert Settings(proxy="none").hidden == Settings().hidden == ()


def test_the_folder_is_where_it_is_said_or_where_the_system_wants_it(tmp_path: Path) -> None:
    assert config.home({"AGENTNB_HOME": str(tmp_path)}) == tmp_path
    assert config.home({"AGENTNB_HOME": "~/x"}) == Path.home() / "x"
    assert config.home({}).name == "agentnb"


@pytest.mark.parametrize("text", ["a = " + "[" * 5000 + "]" * 5000, "a = " + "1" * 5000])
def test_a_file_that_no_reader_reads_is_one_line(tmp_path: Path, text: str) -> None:
    _write(tmp_path, text)
    assert "config.toml is not TOML" in _fails(tmp_path)


def test_a_home_that_there_is_not_is_a_folder_of_that_name(tmp_path: Path) -> None:
    assert config.home({"AGENTNB_HOME": "~nobody-of-this-name/x"}).parts[-2:] == ("~nobody-of-this-name", "x")
    _write(tmp_path, '[http]\nca_bundle = "~nobody-of-this-name/x.pem"')
    assert "There is no " in _fails(tmp_path)
