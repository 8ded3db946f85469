"""Golden values of lib/prompt/syntax/a1111: whole prompts as A1111's webui 1.9 and 1.10 read them, from the rules of its grammar.

    a1111_prompts.py                                  writes test/golden/prompt/a1111-cases.json
    a1111_prompts.py --seed 7 --count 20000 --out f   other strings, for a check outside the tests

a1111-cases.json: {"cases": [[text, options, subs, loras]], "pieces": {text: [[text, weight]]}}
- options: {"steps", "negative"?, "comments"?}; subs: [[weight, [[until, text]]]]; loras: [[name, text encoder, unet]]
- pieces: what attention makes of each text of a schedule, where that is more than the text itself at weight 1.

Schedules are found by brute force: a stretch of text is a construct if some way to cut it up says so, tried for every stretch and every
cut. That each bracket has at most one reading is asserted, not assumed. Character classes and numbers are Python's own, as in A1111.
Where A1111 fails (a number such as 1.2.3) the rules of docs/prompts.md hold.
"""

import argparse
import json
import math
import random
import re
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# ------------------------------------------------------------------------------------------------------------------- comments, tags, AND


def without_comments(text):
    """First lines that are comments as a whole, from line end to line end; then what is left of "#" up to its line end."""
    for start in (r"(?:\A|\n)#", r"#"):
        text = re.compile(start + r".*?(?:\n|\Z)", re.DOTALL).sub("\n", text)
    return text


def number_or_none(kind, text):
    try:
        value = kind(text)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def lora(args):
    """(name, text encoder, unet) or None."""
    placed, named = [], {}
    for arg in args:
        key, *values = arg.split("=")
        if len(values) == 1:
            named[key] = values[0]
        else:
            placed.append(arg)
    if not placed or not placed[0]:
        return None
    numbers = [number_or_none(float, p) for p in placed[1:3]] + [number_or_none(int, p) for p in placed[3:4]]
    numbers += [number_or_none(int if key == "dyn" else float, named[key]) for key in ("te", "unet", "dyn") if key in named]
    if None in numbers:
        return None
    encoder = float(named["te"]) if "te" in named else numbers[0] if len(placed) > 1 else 1.0
    unet = float(named["unet"]) if "unet" in named else numbers[1] if len(placed) > 2 else encoder
    return placed[0], encoder, unet


def without_tags(text):
    found = {}

    def take(match):
        if match["word"] in ("lora", "lyco") and (tag := lora(match["args"].split(":"))):
            found[tag[0]] = tag  # an earlier one keeps its place
        return ""

    return re.sub(r"<(?P<word>\w+):(?P<args>[^>]+)>", take, text), list(found.values())


def parts(text):
    """[(text, weight)] between ANDs."""
    for part in re.split(r"\bAND\b", text):
        part = part.rstrip()
        end = re.search(r"\s*:\s*(?P<number>[+-]?(\d+|\d+\.|\d*\.\d+))\Z", part)
        if end and math.isfinite(float(end["number"])):
            yield part[: end.start()], float(end["number"])
        else:
            yield part, 1.0


# ---------------------------------------------------------------------------------------------------------------------------- schedules

WHEN = re.compile(r"\s*([+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)\s*")
STRUCTURE = "\\[]():|"


class Grammar:
    """A tree is a list of strings and of ("schedule", tree, tree, when), ("alternation", [tree])."""

    def __init__(self, text):
        self.text = text
        self.construct = lru_cache(None)(self._construct)
        self.inner = lru_cache(None)(self._inner)
        self.alternatives = lru_cache(None)(self._alternatives)

    def _unit(self, i):
        """The end of the character or escape at i, None if there is none."""
        text = self.text
        if text[i] == "\\":
            return i + 2 if i + 1 < len(text) and text[i + 1] != "\n" else None
        return i + 1 if text[i] not in STRUCTURE else None

    def _inner(self, i, j):
        """The tree of text[i:j] as plain text and constructs, None if it is not."""
        if i == j:
            return ()
        end = self._unit(i)
        if end is not None:
            rest = self.inner(end, j) if end <= j else None
            return None if rest is None else (self.text[i:end], *rest)
        if self.text[i] not in "[(":
            return None
        readings = []
        for k in range(i + 2, j + 1):
            first = self.construct(i, k)
            rest = None if first is None else self.inner(k, j)
            if rest is not None:
                readings.append((*first, *rest))
        return self.only(readings)

    def only(self, readings):
        assert len(readings) <= 1, (self.text, readings)
        return readings[0] if readings else None

    def _alternatives(self, i, j):
        """All ways to read text[i:j] as inner parts with "|" between them."""
        found = []
        whole = self.inner(i, j)
        if whole is not None:
            found.append((whole,))
        for k in range(i, j):
            if self.text[k] == "|" and (first := self.inner(i, k)) is not None:
                found += [(first, *rest) for rest in self.alternatives(k + 1, j)]
        return found

    def _construct(self, i, j):
        """The tree of text[i:j] as one bracket, None if it is not."""
        text, a, z = self.text, i + 1, j - 1
        pair = text[i] + text[z]
        if pair not in ("()", "[]"):
            return None
        readings = []
        colons = [c for c in range(a, z) if text[c] == ":"]
        if (tree := self.inner(a, z)) is not None:
            readings.append((text[i], *tree, text[z]))
        if pair == "()":
            for c in colons:
                left, right = self.inner(a, c), self.inner(c + 1, z)
                if left is not None and right is not None:
                    readings.append((text[i], *left, ":", *right, text[z]))
            return self.only(readings)
        for c in colons:
            when = WHEN.fullmatch(text, c + 1, z)
            if not when:
                continue
            if (after := self.inner(a, c)) is not None:
                readings.append((("schedule", (), after, when[1]),))
            for b in colons:
                if b < c and (before := self.inner(a, b)) is not None and (after := self.inner(b + 1, c)) is not None:
                    readings.append((("schedule", before, after, when[1]),))
        readings += [(("alternation", options),) for options in self.alternatives(a, z) if len(options) > 1]
        return self.only(readings)

    def tree(self):
        """The whole text: outside of constructs brackets and colons are text. None if that does not read it either."""
        text, i, found = self.text, 0, []
        while i < len(text):
            end = self._unit(i)
            if end is not None:
                found.append(text[i:end])
                i = end
                continue
            if text[i] in "\\|":
                return None
            ends = [k for k in range(i + 2, len(text) + 1) if text[i] in "[(" and self.construct(i, k) is not None]
            assert len(ends) <= 1, text
            found += self.construct(i, ends[0]) if ends else text[i]
            i = ends[0] if ends else i + 1
        return found


def last_step(when, steps):
    value = float(when) * (steps if "." in when else 1)
    return steps if value >= steps else int(max(value, 0))


def nodes(tree):
    for node in tree:
        if isinstance(node, str):
            continue
        yield node
        for child in node[1:3] if node[0] == "schedule" else node[1]:
            yield from nodes(child)


def shown(tree, step, steps):
    text = ""
    for node in tree:
        if isinstance(node, str):
            text += node
        elif node[0] == "schedule":
            text += shown(node[1] if step <= last_step(node[3], steps) else node[2], step, steps)
        else:
            text += shown(node[1][(step - 1) % len(node[1])], step, steps)
    return text


def schedule(text, steps):
    """[(last step, text)]"""
    tree = Grammar(text).tree()
    if tree is None:
        return [(steps, text)]
    ends = {steps}
    for node in nodes(tree):
        ends |= set(range(1, steps + 1)) if node[0] == "alternation" else {last_step(node[3], steps)}
    return [(end, shown(tree, end, steps)) for end in sorted(ends) if end >= 1]


# ---------------------------------------------------------------------------------------------------------------------------- attention

TOKEN = re.compile(r"\\[\\()\[\]]|\\|[()\[\]]|:\s*(?P<number>[+-]?[.\d]+)\s*\)|[^\\()\[\]:]+|:")


def attention(text):
    pieces, opened = [], {"(": [], "[": []}
    partner, factor = {")": "(", "]": "["}, {"(": 1.1, "[": 1 / 1.1}

    def scale(start, by):
        for piece in pieces[start:]:
            piece[1] *= by

    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        token, at = match[0], match.end()
        if token in opened:
            opened[token].append(len(pieces))
        elif token in partner and opened[partner[token]]:
            scale(opened[partner[token]].pop(), factor[partner[token]])
        elif match["number"] and opened["("]:
            weight = number_or_none(float, match["number"])
            if weight is None:  # A1111 fails; here the colon is text and the scan goes on behind it
                pieces.append([":", 1.0])
                at = match.start() + 1
            else:
                scale(opened["("].pop(), weight)
        elif token[0] == "\\":
            pieces.append([token[1:], 1.0])
        else:
            for i, part in enumerate(re.split(r"\s*\bBREAK\b\s*", token)):
                if i > 0:
                    pieces.append(["BREAK", -1.0])
                pieces.append([part, 1.0])
    for bracket in "([":
        for start in opened[bracket]:
            scale(start, factor[bracket])
    merged = []
    for part, weight in pieces or [["", 1.0]]:
        if merged and merged[-1][1] == weight:
            merged[-1][0] += part
        else:
            merged.append([part, weight])
    return merged


def parse(text, steps, negative=False, comments=False):
    """[weight, schedule] of each part, and the LoRAs."""
    if comments:
        text = without_comments(text)
    if negative:
        return [(1.0, schedule(text, steps))], []
    text, loras = without_tags(text)
    return [(weight, schedule(part, steps)) for part, weight in parts(text)], loras


# ------------------------------------------------------------------------------------------------------------------------------ strings

FIXED = r"""[a:b:0.5] [a:b:5] [a:b:1] [a:b:1.0] [a::0.3] [b:0.3] [a:b:-1] [a:b:0] [a:b:0.05] [a:b:1e1] [a:b:0.999] [[a:b:2]:c:5] [a:b:20]
[a:1.2] [(a:1.2):(b:0.8):0.5] [a|]c [a|b|c] [a:[b|c]:5] [a:b:c:0.5] [a|b:0.5] [a:b:50%] [a:b:0,5] \[a:b:0.5\] [a:b:.5] [a:b:5.]
[a:b:+3] [a:b:1E+0] [a:b:.5e-1] [a:b:5.e-1] [a:b:1e-1] [a:b:1e400] [a:b:-1e400] [a:b:1.e400] [a:b:--1] [a:b:1e] [a:b:1.2.3] [a:b:.]
[a:b:1_0] [a:b:0x1] [a:b:５] [a:b:inf] [a:b:] [::1] [:1] [:] [::] [] [|] [||] [|a] [a||b] [:[:[:a:1]:2]:3] [[[a:b:1]:c:2]:d:3]
[a|[b|[c|d]]] [[a|b]|c] [[a|b]:c:3] [a:[b:c:7]:3] [a|[b:c:3]|[d::4]] ([a:b:0.5]:1.2) (x[a:b:3]y:1.2) [a(b:1.2)c:d:3] [a(b:c:d)e:f:3]
[a:b:0.5 [a:b:0.5]] [[a:b:0.5] [a:b:0.5]:3 [a:b:4]( )[a:b:4] ([:5][(a::)]) [a:b]:c:3] [(]:3] [(a]:b:3] [a:b:3)] (a[b:c:2)d] [[a]:b:3]
[\]:b:3] [a\:b:c:3] [a\|b:c:3] [a\|b|c] a\|b a|b [a|b a|b] (a|b) [(a|b):c:3] [a:b:3]| [a:b:3]\ [a:b:3]\\ \[a:b:3] [a:b\:3] [a:\b:3]
((a:b:c))[d:e:3] [[a:b]][d:e:3] ([a:b])[d:e:3] [(a:b:c)][d:e:3] (([a:b][d:e:3]))[f:g:4]
cat:3 cat:-1 cat:+.5 cat:1. cat:. cat:+ cat::2 :2 cat:3: cat:1e2 cat:1,2 cat:1.2.3 cat:٣ cat:１.５ a:b:2 (cat:3) (cat:3):2 [a:b:3]:2
AND aAND ANDa éAND AND漢 a,AND,b (AND) [a_AND:b:3] AND: AND:2 <lora:f:.8> <lora:f> <lora:f:.8:.5> <lora:f:te=.5> <lora:f:unet=.3>
<lora:f:.8:te=.1:unet=.3> <lora:te=.5:f> <lora:te=.5> <lora:f:1:1:8> <lora:f:1:1:x> <lora:f:dyn=4> <lora:f:dyn=4.5> <lora:f:x>
<lora:f:x:te=1> <lora:f:a=b=c> <lora:f:1_0> <lora:f:1__0> <lora:f:_1> <lora:f:1e2> <lora:f:inf> <lora:f:nan> <lora:f:+.5> <lora:f:٣.٥>
<lora:f:-0> <lora::1> <lora:> <b> <b:c> <lora:f:1><lora:f:.5> <lyco:f:1><lora:g:2><lora:f:.5> <Lora:f> <lora:<lora:f>> <lora:f
<<lora:f>> <lora:f>> <a<lora:f> <é:f> <a-b:f> <:f> [<lora:f>::.5] A<lora:f>ND (<lora:f:1>:1.2) <lora:f:1 >x # a#b #a [a:b#:3]
(a:1.2.3) (a:.) (a:1e2) ((a:1.2):1.5) (a[b)c] BREAK aBREAK (BREAK:1.2) [BREAK:b:3] \BREAK""".split()
LINES = [
    "", " ", "  ", "a  ", " a :1.2 AND b:0.8", "a AND b", "a AND", "AND a", "a AND AND b", "(a AND b:1.2)", "sAND and", "cat :3", "cat :0",
    "cat : 3 ", "cat : - 3", "cat\n:3\n", "  :2", " : 2 AND : 3", "[a:b: 0.5 ]", "[a:b:\t0.5\n]", "[a:b:\x85.5\u3000]", "[a:b:\ufeff.5]",
    "[a:b:0.5, a|b [c:d:0.5]", "(x [a:b:0.5]:1.2)", "a [b : c : 1] d", "a [[[b]]:2]", "((a][:b:c [d:3]", "[a|(b:1.1)]", "a\\", "a\\\n[b:c:3]",
    "[a\\\n:b:3]", "a BREAK [b:c BREAK d:3]", "[BREAK :a:3]", "a [AND|x] b", "[a:b:3] AND [c|d] :1.5", "a # b\n# c\nd", "# a\n# b\nc", "a\n#\n#\n",
    "#\n\n#b", "a #b", "a\r#b\rc", "<lora: f : 1 >", "<lora:f:1\n>", "x<lora:f:1> <lora:g:0.5:2> y", "a <hypernet:h:1> b", "AND\u0301 AND\u00b2",
    "a\u3000AND\u3000b", "AND\u00a0:\u00a02\x1c", "[a:b:3][c:d:3][e|f]", "[a:b:1][a:b:2][a:b:3][a:b:4]", "[1|2][1|2|3][1|2|3|4]", ": 1 : 2",
]
SOUP = {
    "brackets": "[ [ [ [ [ ] ] ] ] ] ( ( ) ) : : : : :2 :1 | a a b".split(),
    "schedules": ["[", "[", "[a:", "[", ":b:", ":", "|", "]", "]", ":3]", ":2]", ":0.5]", ":.25]", ": 5. ]", ":1e1]", ":-1]", "|c]", "[a|", "a", "b c", "(", ")", ":1.2)"],
    "escapes": ["\\", "\\", "\\[", "\\]", "\\(", "\\)", "\\\\", "\\:", "\\|", "[", "]", ":", "|", ":2]", "(", ")", "a", "\n", ":1.1)", "BREAK", "😀"],
    "numbers": ["[a:b:", "[b:", "(a:", "a:", "+", "-", ".", "1", "2", "0", ".5", "5.", "1e1", "e", "E-1", " ", "\t", "\u3000", "１", "٣", "]", "]", ")", ")", ",", "%"],
    "parts": [" AND ", "AND", " AND", "AND ", "a", "b ", " c", ":2", " : 0.5", ":-1.", ": +.5 ", "é", "_", "漢", "😀", "\n", "\x1c", "\x85", "\ufeff", "²", "\u0301", "(", ")", "[a|b]", "[c:d:3]", "."],
    "tags": ["<lora:", "<lyco:", "<", "<x:", "f", "g", ":.5", ":1", ":te=", ":unet=", "te=.3", ":dyn=", "=", "2", "x", ">", ">", ">", " ", "[", ":3]", "|", "]", "AND", ":", "é"],
    "comments": ["#", "#", "\n", "\n", "a", " ", "#b", "[c:d:3]", "(", ")", "AND", "<lora:f:1>", ":2"],
    "breaks": ["BREAK", " BREAK ", "BREAK", "(", ")", "[", "]", ":1)", ":1.2)", ":3]", "|", "a", " ", ",", "é", "\n"],
}


def balanced(rng, depth=0):
    """Mostly sound constructs in each other."""
    words = ["a", "b", "c d", "", " ", "x,", "é", "\\]", "\\:", "\\|", "BREAK"]
    if depth > 3 or rng.random() < (0.35 if depth else 0.15):
        return rng.choice(words)

    def inside():
        return "".join(balanced(rng, depth + 1) for _ in range(rng.randint(1, 2)))

    when = rng.choice(["3", "0.5", ".25", "1", "2", " 4 ", "0", "-1", ".6", "1e0", "+2", "1.5", "0.1", "9"])
    if rng.random() < 0.03:
        when = rng.choice(["5%", "x", "", "0,5", "1.2.3"])
    kind = rng.randrange(8)
    if kind == 0:
        text = f"({inside()})"
    elif kind == 1:
        text = f"({inside()}:{rng.choice(['1.2', '0.5', '-1', ' 1 ', 'b', '1.1.1'])})"
    elif kind == 2:
        text = f"[{inside()}]"
    elif kind == 3:
        text = f"[{inside()}:{when}]"
    elif kind < 6:
        text = f"[{inside()}:{inside()}:{when}]"
    else:
        text = "[" + "|".join(inside() for _ in range(rng.randint(2, 4))) + "]"
    if rng.random() < 0.015:  # one character less, or one that does not belong there
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(["", "[", "]", ")", ":", "|", "\\"]) + text[at + 1 :]
    return text


def random_case(rng, longest):
    kind = rng.random()
    if kind < 0.6:
        text = "".join(balanced(rng) for _ in range(rng.randint(1, 3)))
        name = ""
    else:
        name = rng.choice(list(SOUP))
        text = "".join(rng.choice(SOUP[name]) for _ in range(rng.randint(2, 14)))
    if rng.random() < 0.1:
        text += rng.choice([" :2", " AND [a|b]", "<lora:f:.5>", "\\", "|"])
    options = {"steps": rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 10])}
    if rng.random() < 0.15:
        options["negative"] = True
    if name == "comments" and rng.random() < 0.8:
        options["comments"] = True
    return (text, options) if len(text) <= longest else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, default=1111)
    arguments.add_argument("--count", type=int, default=1800)
    arguments.add_argument("--out", type=Path, default=ROOT / "test/golden/prompt/a1111-cases.json")
    args = arguments.parse_args()

    rng = random.Random(args.seed)
    wanted = {}
    for text in [*FIXED, *LINES]:
        options = {"steps": 10, **({"comments": True} if "#" in text else {})}
        wanted[text, json.dumps(options)] = None
    while len(wanted) < args.count:
        if case := random_case(rng, 48):
            wanted[case[0], json.dumps(case[1])] = None

    cases, pieces = [], {}
    for text, options in wanted:
        options = json.loads(options)
        subs, loras = parse(text, **options)
        cases.append([text, options, subs, loras])
        for _, entries in subs:
            for _, shown_text in entries:
                found = attention(shown_text)
                if found != [[shown_text, 1.0]]:
                    pieces[shown_text] = found
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    table = json.dumps(pieces, ensure_ascii=False, separators=(",", ":"))
    args.out.write_text(f'{{"cases":[\n{lines}\n],\n"pieces":{table}}}\n', encoding="utf-8")
    scheduled = sum(any(len(entries) > 1 for _, entries in subs) for _, _, subs, _ in cases)
    print(f"{len(cases)} cases, {scheduled} that change, {len(pieces)} texts with weights, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
