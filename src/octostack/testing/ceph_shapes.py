# SPDX-License-Identifier: Apache-2.0
"""The shape of what a command answers: what must be alike between two clusters, and nothing else.

Numbers count as numbers, and as digits in texts; times, addresses, ids, keys, paths and versions
are masked; the order in lists and objects does not count, nor does how often something is there.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

ANY = "<text>"  # stands for any text

_MASKS = (
    (r"\[v2:[^]]*\]", "<addresses>"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d{4})?", "<time>"),
    (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}", "<time>"),
    (r"(v[12]:)?\d+\.\d+\.\d+\.\d+(:\d+)?(/\d+)?", "<address>"),
    (r"ceph version [^)]*\)( \w+ \(\w+\))?", "<version>"),
    (r"AQ[A-Za-z0-9+/]{36,37}={1,2}", "<key>"),
    (r"(/[\w.$-]+){2,}", "<path>"),
    (r"\b[0-9a-f]{2,}\b(?=\.| \()", "#"),
    (r"\d+(\.\d+)?(e-?\d+)?", "#"),
    (r"# (B|KiB|MiB|GiB|TiB)\b", "# bytes"),
    (r"#(s|m|h|d|w)\b", "# ago"),
    (r"#[kMG]\b", "#"),
)
_COMPILED = [(re.compile(pattern), mask) for pattern, mask in _MASKS]
_KEYS = [(re.compile(pattern), mask) for pattern, mask in (*_MASKS[:8],)]


def masked(text: str) -> str:
    """A text without what differs from cluster to cluster."""
    for pattern, mask in _COMPILED:
        text = pattern.sub(mask, text)
    return text


def _key(text: str) -> str:
    for pattern, mask in _KEYS:
        text = pattern.sub(mask, text)
    return text


def shape(value: Any) -> Any:
    """Of a JSON value: lists become the merged shape of all their items."""
    if isinstance(value, dict):
        return {_key(key): shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        items: dict[str, Any] = {}
        for inner in value:
            found = shape(inner)
            kind = type(found).__name__
            if isinstance(found, dict) and kind in items:
                items[kind] = merged(items[kind], found)
            else:
                items[kind if isinstance(found, dict) else json.dumps(found)] = found
        return [items[key] for key in sorted(items)]
    if isinstance(value, bool) or value is None:
        return value if value is None else "<bool>"
    if isinstance(value, int | float):
        return "<number>"
    return masked(value)


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two objects of a list as one: texts that differ count as any text."""
    found = dict(one)
    for key, value in other.items():
        known = found.get(key, value)
        if isinstance(known, dict) and isinstance(value, dict):
            found[key] = merged(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            both = {json.dumps(item): item for item in (*known, *value)}
            found[key] = [both[item] for item in sorted(both)]
        else:
            found[key] = known if known == value else ANY
    return found


def of_answer(answer: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a command's answer."""
    output = answer["output"]
    if answer["style"] == "json" and output.strip():
        try:
            found: Any = shape(json.loads(output))
        except json.JSONDecodeError:
            found = lines(output)
    else:
        found = lines(output)
    return {
        "command": answer["command"],
        "style": answer["style"],
        "result": answer["result"],
        "status": masked(answer["status"]).strip(),
        "output": found,
    }


def numbered(answers: Iterable[dict[str, Any]]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """By style, command and how often the same was asked before."""
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for answer in answers:
        key = answer["style"], answer["command"]
        seen[key] += 1
        found[(*key, seen[key])] = answer
    return found


def compared(real: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """What is different between the shapes of two answers."""
    found = [
        f"{name}: {_brief(real[name])} is {_brief(ours[name])}"
        for name in ("result", "status")
        if real[name] != ours[name]
    ]
    if real["result"] == ours["result"]:
        found += sorted(differences(real["output"], ours["output"]))
    return found


def lines(output: str) -> list[str]:
    """A text for people: its lines, each once, blanks as one."""
    found = (re.sub(r"\s+", " ", masked(line)).strip() for line in output.splitlines())
    return list(dict.fromkeys(line for line in found if line))


def differences(real: Any, ours: Any, where: str = "") -> Iterator[str]:
    """Paths at which two shapes differ, each with what is there and here."""
    if real == ANY and isinstance(ours, str):
        return
    if type(real) is not type(ours):
        yield f"{where}: {_brief(real)} is {_brief(ours)}"
    elif isinstance(real, dict):
        for key in real.keys() | ours.keys():
            if key not in ours:
                yield f"{where}/{key}: missing"
            elif key not in real:
                yield f"{where}/{key}: not in Ceph"
            else:
                yield from differences(real[key], ours[key], f"{where}/{key}")
    elif isinstance(real, list):
        yield from _in_lists(real, ours, where)
    elif real != ours:
        yield f"{where}: {_brief(real)} is {_brief(ours)}"


def _in_lists(real: list[Any], ours: list[Any], where: str) -> Iterator[str]:
    of_real = [item for item in real if isinstance(item, dict)]
    of_ours = [item for item in ours if isinstance(item, dict)]
    if of_real and of_ours:
        yield from differences(of_real[0], of_ours[0], f"{where}[]")
    elif of_real or of_ours:
        yield f"{where}[]: {'missing' if of_real else 'not in Ceph'}"
    plain_real = [item for item in real if not isinstance(item, dict)]
    plain_ours = [item for item in ours if not isinstance(item, dict)]
    for item in plain_real:
        if item not in plain_ours:
            yield f"{where}[]: {_brief(item)} missing"
    for item in plain_ours:
        if item not in plain_real:
            yield f"{where}[]: {_brief(item)} not in Ceph"


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 160 else text[:157] + "..."
