"""Golden values of lib/prompt/syntax/novelai.ts: the rules that its documentation states, as a second program.

    prompt_novelai.py                                writes test/golden/prompt/novelai.json
    prompt_novelai.py --seed 7 --count 50000 --out f other strings, for a check outside the tests

Cases are [text, [[weight, [[text, weight], ...]], ...]], one entry for each prompt of a mix. Nothing here comes from NovelAI: the golden
file says that two programs agree on the rules, not that the rules are NovelAI's.
"""

import argparse
import json
import random
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WRITTEN = [
    "", "a", "{a}", "{{a}}", "{{{a}}}", "[a]", "[[a]]", "{[a]}", "[{a}]", "{a} b", "{a b", "a} b", "a] b", "{a [b} c]", "{{a} b} c", "{a}{b}", "un{happy}",
    "1.5::a::", "1.5::a:: b", "1.5::a", "0.5::coat ::, black shoes", "1girl, 1.5::rain, night ::, 0.5::coat ::, black shoes", "-1::hat::", "-2.5::flat color::",
    "1.5::{a}::", "{1.5::a::} b", "{{1.5::a} b::} c", "{{{{a :: b", "1.5::a 2::b:: c", "2::x, as109::y", "a1::b", "as-109::y", "1.2.3::a", ".5::a::", "2.::a::",
    "a::b", "::", "::a", "a::", ":::", "1::::2::a", "1:::a", "a:::b", "rain.::b", "0::a::", "1e2::a::", "１.５::a::", "cat | dog", "cat | dog:0.2",
    "cat:1 | happy:-0.2 | cute:-0.3", "cat|dog: 0.5 ", "16:9", "16:9 | a", "a | 16:9", "a:b:2|c", "a::2|b", "a | b::", "1.5::a | b", "{a | b}", "|", "a |", "| a",
    "||a|b||", "a | | b", "a:x|b:1.2.3|c:", "-1::BREAK::", "-1::BREAK", "BREAK", "a BREAK b", "(a:1.2)", "\\{a\\}", "日本語 {漢字}", "{😀}[é]", "[[[[a]]]]", "{{}}a",
    "{" * 40 + "a", "[" * 40 + "a", "1.1::{{a}} [b]::, {c}", " {a} ", "-a", "--1::a", "5-1::a", "x:1.5::a",
]
PARTS = ["a", "b", "cat", " ", " ", ", ", "{", "{", "}", "}", "[", "]", "{{", "}}", "::", "::", "1.5::", "0.5::", "-1::", "1.2.3::", ".::", ":", "|", " | ", ":0.2",
         ":-1 ", "1", ".", "-", "BREAK", "漢", "😀", "\\", "(", ")"]

TOKENS = re.compile(r"(?P<number>-?[0-9.]*[0-9][0-9.]*)?(?P<end>::)|(?P<bracket>[{}\[\]])")


def power(level):
    product = 1.0
    for _ in range(abs(level)):
        product *= 1.05
    return product if level >= 0 else 1 / product


def pieces(text):
    found, number, level, start = [], 1.0, {"{": 0, "[": 0}, 0

    def put(end):
        if end > start:
            weight = number * power(level["{"] - level["["])
            piece = text[start:end]
            found.append(["BREAK " if (piece, weight) == ("BREAK", -1) else piece, weight])

    for token in TOKENS.finditer(text):
        bracket, digits = token["bracket"], token["number"]
        if bracket:
            put(token.start())
            if bracket in "{[":
                level[bracket] += 1
            else:
                kind = "{" if bracket == "}" else "["
                level[kind] = max(0, level[kind] - 1)
        elif digits and digits.count(".") < 2:
            put(token.start())
            number = float(digits)
        else:  # "::" alone, or behind what is no number
            put(token.start("end"))
            number, level = 1.0, {"{": 0, "[": 0}
        start = token.end()
    put(len(text))
    return found or [["", 1.0]]


def answer(text):
    if "|" not in text:
        return [[1.0, pieces(text)]]
    subs = []
    for part in text.split("|"):
        if not part.strip():
            continue
        weight = re.search(r"(?<!:):\s*(-?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*$", part)
        subs.append([float(weight[1]), pieces(part[:weight.start()])] if weight else [1.0, pieces(part)])
    return subs or [[1.0, [["", 1.0]]]]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=20250)
    options.add_argument("--count", type=int, default=500)
    options.add_argument("--out", type=Path, default=ROOT / "test/golden/prompt/novelai.json")
    args = options.parse_args()
    rng = random.Random(args.seed)
    texts = dict.fromkeys(WRITTEN)
    while len(texts) < args.count:
        texts["".join(rng.choice(PARTS) for _ in range(rng.randint(1, 14)))] = None
    rows = [json.dumps([text, answer(text)], ensure_ascii=False, separators=(",", ":")) for text in texts]
    args.out.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    print(f"{len(rows)} cases, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
