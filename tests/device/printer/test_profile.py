"""Profiles are found by name or path, and a mistake in one is named with file and key."""

from pathlib import Path

import pytest

from device.printer.profile import ProfileError, load_profile, profile_names


def test_the_profiles_of_the_product_are_all_readable() -> None:
    assert profile_names() == ["epson-tm", "generic-58mm", "generic-80mm", "mute-58mm"]
    for name in profile_names():
        profile = load_profile(name)
        assert profile.columns * 12 == profile.dots


def test_the_mute_printer_is_known_to_answer_nothing() -> None:
    assert load_profile("mute-58mm").mute
    assert not load_profile("generic-58mm").mute


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"no printer profile 'epson'.*epson-tm"):
        load_profile("epson")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name = 'x'\ncolumms = 32", "columms"),
        ("name = 'x'\ncolumns = 7", "columns"),
        ("columns = 32", "name"),
        ("name = 'x'\nstatus = []\nconfirm = 'fence'", "answers no status"),
        ("name = 'x'\nqr = 'raster'\nqr_module_dots = 5", "even"),
        ("name = ", "Invalid value"),
        ("name = 'x'\nstatus = [5]", "status"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_profile(str(path))
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_a_profile_of_ones_own_is_read_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = 'mine'\ncolumns = 42\ndots = 504")
    assert load_profile(str(path)).columns == 42


def test_a_file_that_is_not_there_is_said_to_be_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read: No such file"):
        load_profile(str(tmp_path / "none.toml"))


def test_an_installed_copy_finds_its_profiles_beside_the_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "share" / "reversald" / "printers"
    folder.mkdir(parents=True)
    (folder / "only-here.toml").write_text("name = 'x'")
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert load_profile("only-here").name == "x"
