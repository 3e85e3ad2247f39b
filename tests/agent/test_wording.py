"""A merchant's own words: checked so that they fit, are filled in, and never say what the advice does not."""

import json
import re
from pathlib import Path

import pytest

from agent import wording
from agent.config import ConfigError, load
from agent.core.playbook import PLAYBOOK, Row
from device import datafiles
from tests.agent.core.test_playbook import PROCEED, SCENES
from tests.agent.core.world import World

# Rows whose own texts speak of paying again although their own transaction must not be paid again: of other customers, or
# of the amount that the trigger was not.
OF_OTHERS = {"P13", "P15", "P19", "P22"}
CLAUSES = "must be one or two clauses of at most {} characters, divided by a comma (,)"
NOT_FILLED = ", which this row does not fill in; it has {amount}, {last4}"
LETS_GO, AGAIN, CREDITED, PROMISED = wording.FAMILIES


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "own.toml").write_text(text)
    config = tmp_path / "reversald.toml"
    config.write_text('[terminal]\ntexts = "own.toml"\n[acquirer]\nhost = "127.0.0.1"\n')
    return config


def mistakes(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    """(key, reason) of every mistake in these texts; each names the file of the texts, and is said in both languages."""
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    for problem in caught.value.problems:
        assert problem.file == str(tmp_path / "own.toml")
        assert problem.reason("zh") != problem.reason("en")
    return [(problem.key, problem.reason("en")) for problem in caught.value.problems]


def test_other_words_stand_in_the_advice_and_a_text_left_out_stays(tmp_path: Path) -> None:
    world: World = SCENES["P3"]()
    before = world.advice()
    world.state.wording = load(written(tmp_path, '[P3]\nzh = "结果不明,请稍候"\nen_long = "{amount}: wait, {last4}"\n')).wording
    after = world.advice()
    assert (after.zh, after.en_long) == ("结果不明,请稍候", "CNY 1.00: wait, 0128")
    assert (after.zh_long, after.en) == (before.zh_long, before.en)
    assert (after.code, after.hold_goods, after.may_pay_again) == (before.code, before.hold_goods, before.may_pay_again)


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('[p3]\nzh = "x"', "p3", "is not a known row of the playbook"),
        ('P3 = "x"', "P3", "must be a section: [P3]"),
        ("[P3]\nhold_goods = false", "P3.hold_goods", "is decided by the program and cannot be changed"),
        ("[P3]\nmay_pay_again = true", "P3.may_pay_again", "is decided by the program and cannot be changed"),
        ('[P3]\nzh_short = "x"', "P3.zh_short", "is not a text of a row: zh, zh_long, en, en_long"),
        ("[P3]\nzh = 1", "P3.zh", "must be a text on one line"),
        ('[P3]\nzh_long = "a\\nb"', "P3.zh_long", "must be a text on one line"),
        ('[P3]\nzh = "一二三四五六七八九十一"', "P3.zh", CLAUSES.format(10)),
        ('[P3]\nzh = "一,二,三"', "P3.zh", CLAUSES.format(10)),
        ('[P3]\nen = "Twenty-one characters"', "P3.en", CLAUSES.format(20)),
        ('[P3]\nen = "…"', "P3.en", "must be plain ASCII"),
        (f'[P3]\nzh_long = "{"字" * 81}"', "P3.zh_long", "is longer than 80 characters"),
        (f'[P3]\nen_long = "{"x" * 201}"', "P3.en_long", "is longer than 200 characters"),
        ('[P3]\nzh_long = "😀"', "P3.zh_long", "has a character that displays and printers do not have (GBK)"),
        ('[P3]\nzh_long = "{rrn}"', "P3.zh_long", "has {rrn}" + NOT_FILLED),
        ('[P3]\nzh_long = "{amount.real}"', "P3.zh_long", "has {amount.real}" + NOT_FILLED),
        ('[P3]\nzh_long = "{amount!r}"', "P3.zh_long", "has {amount!r}" + NOT_FILLED),
        ('[P3]\nzh_long = "{amount:>9}"', "P3.zh_long", "has {amount:>9}" + NOT_FILLED),
        ('[P3]\nzh_long = "{}"', "P3.zh_long", "has {}" + NOT_FILLED),
        ('[P3]\nzh_long = "{amount"', "P3.zh_long", "has a brace that does not belong to a placeholder"),
    ],
)
def test_a_mistake_is_named_with_file_key_and_reason(text: str, key: str, reason: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, text) == [(key, reason)]


def test_every_mistake_is_named_not_only_the_first(tmp_path: Path) -> None:
    text = '[P3]\nzh = ""\nen_long = "{rrn}, the goods may go"\n[P77]\n[P4a]\nen_long = "Please pay again."\n'
    found = mistakes(tmp_path, text)
    assert [key for key, _ in found] == ["P3.zh", "P3.en_long", "P3.en_long", "P77", "P4a.en_long"]


@pytest.mark.parametrize(
    "text", ["可交货", "客人可以离店", "请取货", "可放行", "The goods may go", "You can leave", "Release it", "Hand the bag over"]
)
def test_no_own_words_let_the_goods_go_where_the_row_does_not(text: str) -> None:
    for code in ("P3", "P4a", "P4b", "P5", "P6", "P7", "P19", "N4"):
        assert wording.says(LETS_GO, text)
        assert list(wording.forbidden(PLAYBOOK[code], text)) == [(LETS_GO.why_en, LETS_GO.why_zh)], code
    assert not list(wording.forbidden(PLAYBOOK["P2"], text))


@pytest.mark.parametrize(
    "text",
    ["请重新刷卡", "请再刷一次", "请换卡支付", "请收现金", "重新付款", "Pay again", "Swipe the card once more", "Take cash",
     "Use another card"],
)  # fmt: skip
def test_no_own_words_invite_to_pay_again_where_the_row_does_not(text: str) -> None:
    for code in ("P1", "P2", "P3", "P4a", "P6", "P7", "P4d", "N2", "N3"):
        assert list(wording.forbidden(PLAYBOOK[code], text)) == [(AGAIN.why_en, AGAIN.why_zh)], code
    assert not list(wording.forbidden(PLAYBOOK["P4b"], text))


@pytest.mark.parametrize("text", ["款已退回", "已到账", "款项将退还", "三天内到账", "It was refunded", "It will be credited"])
def test_accepted_is_not_credited(text: str) -> None:
    for code in ("P4b", "P4c", "P5", "P3"):
        assert list(wording.forbidden(PLAYBOOK[code], text)) == [(CREDITED.why_en, CREDITED.why_zh)], code


@pytest.mark.parametrize("text", ["我们保证", "承诺退款", "一定退", "We guarantee it", "Promised"])
def test_nothing_is_promised(text: str) -> None:
    for code, row in PLAYBOOK.items():
        assert list(wording.forbidden(row, text)) == [(PROMISED.why_en, PROMISED.why_zh)], code


@pytest.mark.parametrize(
    "text",
    ["请勿凭短信交货", "暂勿交货", "请勿重复付款", "不要再刷卡", "急离店由店长决定", "店长同意后可换卡", "Do not pay again",
     "never release it", "The manager decides whether the guest may leave"],
)  # fmt: skip
def test_what_is_denied_or_left_to_the_manager_may_stand_anywhere(text: str) -> None:
    assert not list(wording.forbidden(PLAYBOOK["P3"], text))


@pytest.mark.parametrize(
    "text",
    ["不必担心可交货", "请勿等待,可交货", "请勿让顾客久等快交货", "Do not wait: goods may go", "No harm to simply pay again"],
)
def test_a_denial_reaches_only_what_stands_right_after_it(text: str) -> None:
    assert any(wording.says(family, text) for family in (LETS_GO, AGAIN))


@pytest.mark.parametrize("code", SCENES)
def test_the_rows_own_texts_say_no_more_than_their_advice(code: str) -> None:
    advice = SCENES[code]().advice(proceed=PROCEED.get(code))
    said = [text for text in PLAYBOOK[code] if wording.says(LETS_GO, text)]
    assert not said or not advice.hold_goods
    said = [text for text in PLAYBOOK[code] if wording.says(AGAIN, text)]
    assert not said or advice.may_pay_again or code in OF_OTHERS
    assert not any(wording.says(PROMISED, text) for text in PLAYBOOK[code])


@pytest.mark.parametrize("name", datafiles.names("texts"))
def test_the_texts_that_come_with_the_program_are_right(name: str) -> None:
    rows = wording.load(name, Path(), "")
    assert rows
    for code, row in rows.items():
        assert row != PLAYBOOK[code], f"{code} says nothing else than the playbook"


def test_a_restaurant_speaks_of_no_goods() -> None:
    for code, row in (PLAYBOOK | dict(wording.load("restaurant", Path(), ""))).items():
        assert not re.search("货|goods", " ".join(row).replace("退货", "")), code


@pytest.mark.parametrize("code", PLAYBOOK)
def test_the_playbooks_own_texts_pass_the_same_checks(code: str, tmp_path: Path) -> None:
    lines = [f"{key} = {json.dumps(text)}" for key, text in zip(Row._fields, PLAYBOOK[code], strict=True)]
    assert load(written(tmp_path, "\n".join([f"[{code}]", *lines]))).wording == {code: PLAYBOOK[code]}


def test_unknown_texts_are_refused_with_the_names_of_those_there_are(tmp_path: Path) -> None:
    config = tmp_path / "reversald.toml"
    config.write_text('[terminal]\ntexts = "hairdresser"\n[acquirer]\nhost = "127.0.0.1"\n')
    with pytest.raises(ConfigError) as caught:
        load(config)
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == (str(config), "terminal.texts")
    assert "restaurant" in problem.reason("en")


def test_a_file_of_texts_that_is_missing_is_named(tmp_path: Path) -> None:
    config = tmp_path / "reversald.toml"
    config.write_text('[terminal]\ntexts = "gone.toml"\n[acquirer]\nhost = "127.0.0.1"\n')
    with pytest.raises(ConfigError) as caught:
        load(config)
    assert caught.value.problems[0].key == "terminal.texts"
    assert "gone.toml" in caught.value.problems[0].file


def test_the_example_of_the_page_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "wording.md").read_text()
    (example,) = [block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[P3]" in block]
    assert load(written(tmp_path, example)).wording["P3"].en == "Unknown, please wait"
