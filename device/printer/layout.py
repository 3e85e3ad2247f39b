"""Column-exact text: what a GBK printer can say, how wide it is, and where a line breaks.

One byte of GBK is one column: ASCII takes one, everything else two, also signs like × or ° that a screen shows narrow.
"""

import unicodedata

ENCODING = "gbk"
GETA = "〓"  # the printer's mark for a character it does not have, as wide as the Han character it stands for
# U+00A5 has no place in GBK and comes out as other characters; everybody at a till reads RMB.
_WORDS = {"\u00a5": "RMB", "\u20ac": "EUR", "\u00a3": "GBP", "\u00a0": " ", "\u2022": "·", "\t": " "}
_NOT_FIRST = frozenset("，。、；：！？）》」』】”’％,.;:!?)]}%")  # never begin a line when the line before has room to give


def sayable(text: str) -> str:
    """`text` with everything replaced that GBK or the printer's command set cannot take. Newlines stay."""
    try:
        text.encode(ENCODING)
        if text.isprintable():
            return text
    except UnicodeEncodeError:
        pass
    return "".join(_sayable(char) for char in text)


def _sayable(char: str) -> str:
    if char in _WORDS:
        return _WORDS[char]
    if char in "\n\u3000" or (char.isprintable() and _encodes(char)):
        return char
    if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Mn", "Me", "Zl", "Zp"}:
        return ""  # control characters could be commands; marks and joiners have no column of their own
    base = unicodedata.normalize("NFD", char)[0]  # an accent may go; ² or ½ may not become other digits
    if base != char and _encodes(base):
        return base
    return GETA if unicodedata.east_asian_width(char) in {"W", "F"} else "?"


def _encodes(char: str) -> bool:
    try:
        char.encode(ENCODING)
    except UnicodeEncodeError:
        return False
    return True


def width(text: str) -> int:
    """Columns of a text that is sayable."""
    return len(text.encode(ENCODING, "replace"))


def wrap(text: str, columns: int) -> list[str]:
    """Break a sayable text into lines of at most `columns`, at newlines, then spaces, then between Han characters."""
    assert columns >= 2, "a Han character needs two columns"
    return [line for part in text.split("\n") for line in _wrap(part, columns)]


def _wrap(text: str, columns: int) -> list[str]:
    lines: list[str] = []
    while width(text) > columns:
        cut = _cut(text, columns)
        lines.append(text[:cut].rstrip(" "))
        text = text[cut:].lstrip(" ")
    lines.append(text)
    return lines


def _cut(text: str, columns: int) -> int:
    """How many characters of a too long text stand on its first line: at least one."""
    fit = used = 0
    while used + (step := width(text[fit])) <= columns:
        used += step
        fit += 1
    for cut in range(fit, max(fit // 2, 1), -1):  # give up at most half a line for a good place
        if _may_break(text[cut - 1], text[cut]):
            return cut
    return max(fit, 1)


def _may_break(before: str, after: str) -> bool:
    if after == " ":
        return True
    if after in _NOT_FIRST:
        return False
    return before == " " or width(before) == 2 or width(after) == 2


def two_columns(left: str, right: str, columns: int, fill: str = " ") -> str:
    """`left` and `right` at the two edges of a line; on lines of their own, split by a newline, when they do not fit.

    The column of ASCII `fill` stands between them: with "-" and two empty texts it is a rule, with "_" a line to write on.
    """
    assert width(fill) == 1, "what fills a gap is one column wide"
    left, right = sayable(left), sayable(right)
    gap = columns - width(left) - width(right)
    if gap >= 1 and "\n" not in left + right:
        return left + fill * gap + right
    rest = wrap(right, columns)
    return "\n".join([*wrap(left, columns), *(" " * (columns - width(line)) + line for line in rest)])
