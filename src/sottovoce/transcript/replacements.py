"""Applies the caller's replacement rules to the words of a transcript (contract §6.2, "Replacement rules").

Rules are case-sensitive and run after transcription: plain words first, then `/regex/` rules in listed order, each on all
of its matches in a word; the first rule that matches a word is the only one applied to it.

A regex is untrusted input. It is translated from ECMAScript to `re`, which has no time limit: rules have at most
`MAX_PATTERN` characters each and `MAX_PATTERNS` together, words longer than `MAX_WORD` are left unchanged, and loops directly
inside loops, `(a+)+`, are refused. Overlapping alternatives, `(a|a)*b`, and several loops in a row, `.*.*.*x`, can still take
very long on some words: the caller of `apply` ends it after a time, by a `TimeoutError` in the thread that runs it. (An engine
of linear time, like RE2, has no look-around and no references, which ECMAScript has.) Differences of `re` that remain: a
reference to a group that did not match fails instead of matching the empty string, look-behind must have a fixed width, and
case is folded by Unicode's simple rules.

In order: compiled rules; `compile_rules`; `apply`; targets of regexes; translation of ECMAScript patterns.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sottovoce.errors import Kind, Refused
from sottovoce.request import Replacement
from sottovoce.transcript.formatting import remove_words
from sottovoce.transcript.model import Entity, Item, Word

MAX_PATTERN = 1_000
"""Characters of a regex."""

MAX_PATTERNS = 100_000
"""Characters of all regexes of a job: 1,000 characters take up to 20 ms to compile."""

MAX_RUN = 20
"""Words of a plain rule."""

MAX_WORD = 100
"""Characters of a word that regexes are tried on."""

_LITERAL = re.compile(r"/(.+)/([dgimsuvy]*)", re.DOTALL)
_SHARED_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE}
_FREE_FLAGS = frozenset("dgsu")  # always global; `s` is translated; `u` and `d` change nothing here
_MANY = 4  # repetitions from which a bounded loop around a loop is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regex:
    """A translated pattern and its target: literal text, and group numbers or names in place of `$…`. *at*: its field."""

    pattern: re.Pattern[str]
    target: tuple[str | int, ...]
    at: str

    def rewrite(self, text: str) -> str | None:
        """*text* with every match replaced; None without a match."""
        try:
            rewritten, count = self.pattern.subn(self._expand, text)
        except TimeoutError as error:
            raise Refused(
                Kind.INVALID_CONFIG, "this regular expression takes too long on some words", at=self.at
            ) from error
        return rewritten if count else None

    def _expand(self, match: re.Match[str]) -> str:
        return "".join(part if isinstance(part, str) else _group(match, part) for part in self.target)


_BEFORE, _AFTER = -1, -2  # stand-ins for "$`" and "$'" among group numbers


def _group(match: re.Match[str], number: int) -> str:
    if number == _BEFORE:
        return match.string[: match.start()]
    if number == _AFTER:
        return match.string[match.end() :]
    return match[number] or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Compiled rules: *plain* word sequences with their targets, the *lengths* of the sequences by first word (longest first),
    and the *regexes* in order.
    """

    plain: Mapping[tuple[str, ...], str]
    lengths: Mapping[str, tuple[int, ...]]
    regexes: tuple[_Regex, ...]


def compile_rules(replacements: Sequence[Replacement]) -> Rules:
    """*replacements* compiled for `apply`.

    Raises `Refused` (invalid_config) for a `from` that is empty or has more than `MAX_RUN` words, and for a regex that is
    malformed, too long, not supported by `re`, or a loop directly inside a loop, and for too many characters of regexes. A `from`
    that starts with a slash and does not end like a regex is a plain word.
    """
    plain: dict[tuple[str, ...], str] = {}
    lengths: dict[str, set[int]] = {}
    regexes: list[_Regex] = []
    characters = 0
    for index, rule in enumerate(replacements):
        at = f"transcript_filtering_config.replacements[{index}].from"
        literal = _LITERAL.fullmatch(rule.source)
        words = tuple(rule.source.split())
        if literal:
            characters += len(literal[1])
            if characters > MAX_PATTERNS:
                raise Refused(
                    Kind.INVALID_CONFIG, f"the regular expressions have more than {MAX_PATTERNS:,} characters", at=at
                )
            regexes.append(_compiled(literal[1], literal[2], rule.target, at))
        elif not 0 < len(words) <= MAX_RUN:
            raise Refused(Kind.INVALID_CONFIG, f"must be 1 to {MAX_RUN} words", at=at)
        else:
            plain.setdefault(words, rule.target)
            lengths.setdefault(words[0], set()).add(len(words))
    ordered = {first: tuple(sorted(each, reverse=True)) for first, each in lengths.items()}
    return Rules(plain=plain, lengths=ordered, regexes=tuple(regexes))


def apply(items: Iterable[Item], rules: Rules) -> tuple[Item, ...]:
    """*items* of one channel with *rules* applied.

    A `from` of several words matches consecutive words of one speaker; the new word spans their times. A word whose new
    text is blank is removed with its comma. Entities are matched by their written form. Raises `Refused` (invalid_config) for a
    regex that is ended by a `TimeoutError`.
    """
    line = list(items)
    written: list[Item] = []
    blank: set[int] = set()  # `id` of the words in `written` to remove
    index = 0
    while index < len(line):
        taken, item = _rewritten(line, index, rules)
        if item is not line[index] and isinstance(item, Word) and not item.text.strip():
            item = replace(item, text=line[index].text)  # its capital moves to the next word
            blank.add(id(item))
        written.append(item)
        index += taken
    return remove_words(written, lambda word: id(word) in blank) if blank else tuple(written)


def _rewritten(line: Sequence[Item], index: int, rules: Rules) -> tuple[int, Item]:
    """The number of items from *index* that are replaced, and the item that replaces them."""
    item = line[index]
    if not isinstance(item, Word | Entity):
        return 1, item
    for length in rules.lengths.get(item.text, ()):
        run = line[index : index + length]
        target = rules.plain.get(tuple(each.text for each in run))
        if target is not None and len(run) == length and _together(run):
            return length, _merged(run, target)
    whole = rules.plain.get(tuple(item.text.split(" ")))
    if whole is not None:  # an engine or a lookup table may return a phrase as one item
        return 1, _with_text(item, whole)
    if len(item.text) <= MAX_WORD:
        for regex in rules.regexes:
            text = regex.rewrite(item.text)
            if text is not None:
                return 1, _with_text(item, text)
    return 1, item


def _together(run: Sequence[Item]) -> bool:
    first = run[0]
    return all(
        isinstance(each, Word | Entity) and (each.channel, each.speaker) == (first.channel, first.speaker)
        for each in run
    )


def _with_text(item: Word | Entity, text: str) -> Word | Entity:
    if isinstance(item, Word):
        return replace(item, text=text)
    piece = Word(
        text=text,
        start=item.start,
        end=item.end,
        confidence=item.confidence,
        language=item.language,
        speaker=item.speaker,
        channel=item.channel,
    )
    return replace(item, text=text, written=(piece,)) if text.strip() else piece


def _merged(run: Sequence[Item], text: str) -> Word | Entity:
    """One word with *text* over the times of *run*, with the lowest confidence and the mean volume of its words."""
    words = [each for each in run if isinstance(each, Word | Entity)]
    if len(words) == 1:
        return _with_text(words[0], text)
    sure = [word.confidence for word in words if word.confidence is not None]
    loud = [word.volume for word in words if word.volume is not None]
    return Word(
        text=text,
        start=words[0].start,
        end=max(word.end for word in words),
        confidence=min(sure, default=None),
        language=words[0].language,
        speaker=words[0].speaker,
        channel=words[0].channel,
        volume=sum(loud) / len(loud) if loud else None,
        tags=tuple(dict.fromkeys(tag for word in words for tag in word.tags)),
    )


def _compiled(source: str, flags: str, target: str, at: str) -> _Regex:
    if len(source) > MAX_PATTERN:
        raise Refused(Kind.INVALID_CONFIG, f"a regular expression has at most {MAX_PATTERN} characters", at=at)
    if len(set(flags)) < len(flags) or not set(flags) <= _FREE_FLAGS | _SHARED_FLAGS.keys():
        raise Refused(Kind.INVALID_CONFIG, f"the flags {flags!r} are not supported", at=at)
    compiled = 0
    for flag in flags:
        compiled |= _SHARED_FLAGS.get(flag, 0)
    try:
        pattern = re.compile(_Translation(source, dot_all="s" in flags, lines="m" in flags).run(), compiled)
    except (ValueError, re.error, OverflowError, RecursionError, Warning) as error:
        why = error.msg if isinstance(error, re.error) else str(error)
        raise Refused(Kind.INVALID_CONFIG, f"not a regular expression that can be used: {why}", at=at) from error
    return _Regex(pattern=pattern, target=_target(target, pattern), at=at)


_DOLLAR = re.compile(r"\$(?:([$&`'])|(\d\d?)|<([^>]*)>)")
_SPECIAL: Mapping[str, str | int] = {"$": "$", "&": 0, "`": _BEFORE, "'": _AFTER}


def _target(target: str, pattern: re.Pattern[str]) -> tuple[str | int, ...]:
    """The parts of *target*, parsed like ECMAScript's GetSubstitution; a `$` without a meaning is literal."""
    parts: list[str | int] = []
    rest = 0
    for match in _DOLLAR.finditer(target):
        parts.append(target[rest : match.start()])
        rest = match.end()
        sign, digits, name = match.groups()
        if sign:
            parts.append(_SPECIAL[sign])
        elif digits:
            parts.extend(_numbered(digits, pattern.groups))
        elif pattern.groupindex:
            parts.append(pattern.groupindex.get(name, ""))
        else:
            parts.append(match[0])
    return (*parts, target[rest:])


def _numbered(digits: str, groups: int) -> Iterable[str | int]:
    if 1 <= int(digits) <= groups:
        return (int(digits),)
    if len(digits) > 1 and 1 <= int(digits[0]) <= groups:
        return (int(digits[0]), digits[1])
    return (f"${digits}",)


_SETS = {"d": "0-9", "w": "A-Za-z0-9_"}  # these classes are ASCII in ECMAScript
_ASCII = {"b": r"(?a:\b)", "B": r"(?a:\B)", "d": "[0-9]", "D": "[^0-9]", "w": "[A-Za-z0-9_]", "W": "[^A-Za-z0-9_]"}
_AS_THEY_ARE = frozenset("sSfnrtv0123456789")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(\d+)(,?)(\d*)\})\??", re.ASCII)
_GROUP = re.compile(r"\((\?(?:[:=!]|<[=!]|<([A-Za-z_][A-Za-z0-9_]*)>))?", re.ASCII)
_HEX = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|c([A-Za-z]))")


@dataclass(slots=True)
class _Branch:
    """The state of one alternative of a group; it must not be repeated if it has a *loop* and no *fixed* element."""

    loop: bool = False
    fixed: bool = False


@dataclass(slots=True)
class _Open:
    """A group that is not closed yet. *width* is False for a look-around, which consumes no text."""

    width: bool
    branch: _Branch
    loops: bool = False  # one of its alternatives must not be repeated


class _Translation:
    """Translates one ECMAScript pattern to `re` in a single pass, and finds loops directly inside loops.

    Raises ValueError for syntax that is malformed or not supported; `re.compile` reports the remaining errors.
    """

    def __init__(self, source: str, *, dot_all: bool, lines: bool) -> None:
        self._source = source
        self._dot = r"(?s:.)" if dot_all else r"[^\n\r\u2028\u2029]"
        self._end = "$" if lines else r"\Z"
        self._at = 0
        self._written: list[str] = []
        self._groups = [_Open(width=True, branch=_Branch())]

    def run(self) -> str:
        """The translated pattern. Raises ValueError."""
        while self._at < len(self._source):
            self._step()
        if len(self._groups) > 1:
            raise ValueError("a group is not closed")
        return "".join(self._written)

    def _step(self) -> None:
        char = self._source[self._at]
        if char == "(":
            self._open()
        elif char == ")":
            self._close()
        elif char == "|":
            self._alternative()
        elif char in "^$":
            self._take(1, "^" if char == "^" else self._end)
        elif char == "[":
            self._atom(self._class())
        elif char == "\\":
            self._atom(self._escape())
        elif _QUANTIFIER.match(self._source, self._at):
            raise ValueError("nothing to repeat")
        else:
            self._at += 1
            self._atom(self._dot if char == "." else re.escape(char))

    def _take(self, length: int, written: str) -> None:
        self._at += length
        self._written.append(written)

    def _open(self) -> None:
        match = _GROUP.match(self._source, self._at)
        if match is None or (match[1] is None and self._source[match.end() : match.end() + 1] == "?"):
            raise ValueError("an unknown kind of group")
        opening = f"(?P<{match[2]}>" if match[2] else match[0]
        around = match[1] is not None and match[1][-1] in "=!"
        self._take(len(match[0]), opening)
        self._groups.append(_Open(width=not around, branch=_Branch()))

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise ValueError("a closing parenthesis without an opening one")
        self._alternative_ends()
        group = self._groups.pop()
        self._at += 1
        self._atom(")", loops=group.loops, width=group.width)

    def _alternative(self) -> None:
        self._alternative_ends()
        self._groups[-1].branch = _Branch()
        self._take(1, "|")

    def _alternative_ends(self) -> None:
        group = self._groups[-1]
        group.loops = group.loops or (group.branch.loop and not group.branch.fixed)

    def _atom(self, written: str, *, loops: bool = False, width: bool = True) -> None:
        """Append the element *written* that can be repeated, then its quantifier."""
        self._written.append(written)
        least, most = self._quantifier()
        if loops and most >= _MANY:
            raise ValueError("a loop directly inside a loop is not supported")
        branch = self._groups[-1].branch
        loop = width and (loops or most >= _MANY > least)
        branch.loop = branch.loop or loop
        branch.fixed = branch.fixed or (width and not loop and least > 0)

    def _quantifier(self) -> tuple[int, float]:
        match = _QUANTIFIER.match(self._source, self._at)
        if match is None:
            return 1, 1
        self._take(len(match[0]), match[0])
        if match[1] is None:
            return {"*": (0, float("inf")), "+": (1, float("inf")), "?": (0, 1)}[match[0][0]]
        least = int(match[1])
        most = least if not match[2] else int(match[3]) if match[3] else float("inf")
        return least, most

    def _class(self) -> str:
        """A character class; as in ECMAScript, `[]` matches no character and `[^]` every character."""
        end = self._class_end()
        inner = self._source[self._at + 1 : end]
        negated = inner.startswith("^")
        stop = end
        self._at += 1 + negated
        if self._at == stop:
            self._at = stop + 1
            return r"[\s\S]" if negated else r"(?!)"
        parts: list[str] = []
        while self._at < stop:
            char = self._source[self._at]
            if char == "\\":
                parts.append(self._escape(inside=True))
                continue
            # `re` warns of "[", "&&", "||", "~~" and "--" in a class, which later versions may read as set operations
            lone_dash = char == "-" and (not parts or self._at + 1 == stop)
            parts.append("\\" + char if char in "[&|~^" or lone_dash else char)
            self._at += 1
        self._at = stop + 1
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _class_end(self) -> int:
        at = self._at + 1
        while at < len(self._source):
            if self._source[at] == "\\":
                at += 1
            elif self._source[at] == "]":
                return at
            at += 1
        raise ValueError("a character class is not closed")

    def _escape(self, *, inside: bool = False) -> str:
        hexed = _HEX.match(self._source, self._at)
        if hexed:
            self._at = hexed.end()
            return re.escape(_character(hexed))
        char = self._source[self._at + 1 : self._at + 2]
        if not char:
            raise ValueError("a backslash at the end")
        if char in "pP":
            raise ValueError("Unicode properties are not supported")
        if char == "k" and not inside:
            return self._reference()
        self._at += 2
        if inside:
            return _class_escape(char)
        if char in _ASCII:
            return _ASCII[char]
        return f"\\{char}" if char in _AS_THEY_ARE else re.escape(char)

    def _reference(self) -> str:
        match = re.compile(r"\\k<([A-Za-z_]\w*)>", re.ASCII).match(self._source, self._at)
        if match is None:
            raise ValueError("an incomplete reference")
        self._at = match.end()
        return f"(?P={match[1]})"


def _class_escape(char: str) -> str:
    if char in _SETS:
        return _SETS[char]
    if char in "DW":
        return f"\\{char}"  # `re` has no ASCII-only form of these inside a class
    return f"\\{char}" if char == "b" or char in _AS_THEY_ARE else re.escape(char)


def _character(hexed: re.Match[str]) -> str:
    two, four, braces, control = hexed.groups()
    if control:
        return chr(ord(control.upper()) - 64)
    code = int(two or four or braces, 16)
    if code > 0x10FFFF:  # noqa: PLR2004 - the last character of Unicode
        raise ValueError("no such character")
    return chr(code)
