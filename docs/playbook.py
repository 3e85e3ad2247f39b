"""`docs/playbook.md`: the rows of the playbook, each with the scenario that a real agent plays."""

from agent.core.playbook import PLAYBOOK
from tests.scenarios.script import Scenario, scenarios, shops


def page() -> str:
    """Every advice a cashier can read: when, what happens by itself, the words, the two answers that protect money."""
    known = shops()
    played = {name: each for name, each in scenarios().items() if "texts" not in known[each.shop].get("terminal", {})}
    lines = [
        "# Playbook 处置指引",
        "",
        "Made by `./dev docs` from `agent/core/playbook.py` and the scenarios in `tests/scenarios`, which a real agent plays:",
        "what stands here is what it said. `v` is the same for a void. Each advice carries amount, last four digits and STAN",
        "of its customer. A merchant may use [other words](wording.md). 每条提示都绑定金额、卡尾号和流水号；下表由真实程序按场景",
        "逐条验证。商户可以[换用自己的说法](wording.md)。",
        "",
        "## 中文",
        "",
        "| 编号 | 情况 | 系统自动处理 | 简短提示 | 完整提示 | 扣住货物 | 可再付款 | 场景 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {scenario.row} | {scenario.situation_zh} | {scenario.by_itself_zh} | {PLAYBOOK[scenario.row].zh} "
        f"| {PLAYBOOK[scenario.row].zh_long} | {_answers(scenario, '是', '否')} | {_played(name)} |"
        for name, scenario in played.items()
    ]
    lines += [
        "",
        "## English",
        "",
        "| code | situation | what happens by itself | short | longer | hold goods | may pay again | scenario |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {scenario.row} | {scenario.situation} | {scenario.by_itself} | {PLAYBOOK[scenario.row].en} "
        f"| {PLAYBOOK[scenario.row].en_long} | {_answers(scenario, 'yes', 'no')} | {_played(name)} |"
        for name, scenario in played.items()
    ]
    lines += [
        "",
        "## The moments between 平常时刻",
        "",
        "| code | 简短提示 | 完整提示 | short | longer |",
        "|---|---|---|---|---|",
    ]
    shown = {scenario.row for scenario in played.values()}
    lines += [
        f"| {code} | {row.zh} | {row.zh_long} | {row.en} | {row.en_long} |" for code, row in PLAYBOOK.items() if code not in shown
    ]
    return "\n".join(lines) + "\n"


def _answers(scenario: Scenario, yes: str, no: str) -> str:
    """The two answers, as the real agent gave them where the row is shown."""
    assert scenario.shown is not None, f"{scenario.row} is not shown whole"
    return " | ".join(yes if answer else no for answer in (scenario.shown.hold_goods, scenario.shown.may_pay_again))


def _played(name: str) -> str:
    return f"[{name}](../tests/scenarios/{name}.toml)"
