"""Golden values of lib/prompt/syntax/comfy.ts from the rules of ComfyUI's token weights, written down here as a recursion over texts.

    prompt_comfy.py                                  writes test/golden/prompt/comfy.json
    prompt_comfy.py --seed 7 --count 50000 --out f   other strings, for a check outside the tests

Cases are [text, [[text, weight], ...]]. ComfyUI itself lets "inf" and "nan" through as weights; ours are text, and so they are here.
"""

import argparse
import json
import math
import random
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OPEN, CLOSE = "\ue000", "\ue001"  # stand for escaped brackets, so that none of the rules sees them

WRITTEN = r"""
|a|a photo of a cat|(a)|((a))|(((a)))|(a:1.3)|((a:1.3))|((a:1.2):1.3)|((a):1.3)|(a (b:1.2) c:1.5)|(a (b) c:1.5)|(a (b) c)|()|( )|(())|a()b|(:1.5)|(a:)
(::1.5)|(a:b:1.5)|(a:b)|(a:1e2)|(a:1E-1)|(a: 1.2 )|(a:1.2 b)|(a:1_0)|(a:_1)|(a:1__0)|(a:inf)|(a:-inf)|(a:nan)|(a:Infinity)|(a:1e400)|(a:-0.5)|(a:+1.2)
(a:-0)|(a:.5)|(a:2.)|(a:.)|(a:1.2.3)|(a:1,2)|(a:０.５)|(a:１e１)|(a:0x1)|(a:1.2f)|(a:True)|(16:9)|aspect 16:9|(aspect 16:9)|a:1.2|a:1.2)|(a:1.2|(a|a)|a(|)a
(a (b)|(a (b:1.2)|((b))|(((b))|(((b)|((b)|((a) (b|((a) (b)|((a) (b))|(a) (b|(a) (b) c|(a b) c (d|(a b) c (d)|a) (b:1.2)|a) ((b:1.2)|a)) ((b:1.2)|a)) (((b)
a)) (((b:2))|a) (b) (c)|a) b ( c (d) e|)(a)|)((a:2)|)((a:2))|)))(((a)|))(a)((b|(a:1.1)(b)|(a:1.1)(b:1.1)|(a)(b)|a (b:1) c|un(happy:1.2)|(unnecessary)(parens)
\(a\)|\(a\):1.2|(\(a\):1.2)|(a\))|(a\):1.2)|(a\(b:1.2)|\\(a)|\\(a\\)|\\\(a)|(a\:1.2)|a\b|\|\\|[a]|[a:b:0.5]|[a|b]|{a}|a BREAK b|(BREAK:-1)|(a BREAK b:1.2)
(BREAK :-1)|(BREAK:1)|a AND b|<lora:x:1>|embedding:name|(embedding:name:1.2)|(embedding:name)|a,b,(c:1.2),d|(a, b:1.2), c|日本語 (漢字:1.3)|（全角：1.2）|(😀:1.2)
(é:0.5) (ß)|(a:1.2)
b|(a
b:1.2)|((((((((((a))))))))))|((((a:1.1):1.2):1.3):1.4)|(a (b (c (d:0.1):0.2):0.3):0.4)|(((a) b) c) d|a (b (c) d|(a (b (c)|(a (b (c))|(a ((b) c)|((a (b)) c|(a:1.2) (b
(:)|(: )|(a :)|(a: :1.2)|(:1.2:1.3)|(1.2)|(1.2:1.3)|((1.2):1.3)|(a:(b:2))|(a:(b):2)|(a(:1.2))|((a:1.2)b:1.3)|(a:1.2)1.3|a:(1.2)|(a:1.2:)|(a:\(1.2)|(a:1.2\))
masterpiece, (best quality:1.4), (1girl), solo, (blurry, (bokeh:0.8):0.5), name \(series\), (name \(series\):1.1)|(a	:	1.5	)|(a: 1.5 )|(a:1.5)
"""
PARTS = ["a", "b", "cat", " ", " ", ", ", "(", "(", "(", ")", ")", ")", "((", "))", ":", ":1.2", ":1.2)", ":0.5)", ":-1)", ":1e2)", ":inf)", ":1.2.3)", ": 2 )",
         "\\", "\\(", "\\)", "BREAK", "1.5", "漢", "😀", "[", "]", "\n", "\u00a0", "_", "(a:1.3)", "(a b)", "(BREAK:-1)", ":１.５)", ":1_0)"]


def number(text):
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def segments(text):
    """Cuts at the brackets of depth 0. A segment reaches from such a "(" to where the depth is 0 again, or to the end."""
    start, depth = 0, 0
    for i, c in enumerate(text):
        if c == "(":
            if depth == 0:
                yield text[start:i]
                start = i
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                yield text[start:i + 1]
                start = i + 1
    yield text[start:]


def weighted(text, weight):
    for segment in filter(None, segments(text)):
        if len(segment) < 2 or segment[0] != "(" or segment[-1] != ")":
            yield segment, weight
            continue
        inner = segment[1:-1]
        head, colon, tail = inner.rpartition(":")
        explicit = number(tail) if colon and head else None
        yield from weighted(inner, weight * 1.1) if explicit is None else weighted(head, explicit)


def answer(text):
    escaped = text.replace("\\)", CLOSE).replace("\\(", OPEN)
    pieces = [[piece.replace(OPEN, "(").replace(CLOSE, ")"), weight] for piece, weight in weighted(escaped, 1.0)]
    return [["BREAK " if piece == ["BREAK", -1.0] else piece[0], piece[1]] for piece in pieces] or [["", 1.0]]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=20250)
    options.add_argument("--count", type=int, default=600)
    options.add_argument("--out", type=Path, default=ROOT / "test/golden/prompt/comfy.json")
    args = options.parse_args()
    rng = random.Random(args.seed)
    texts = dict.fromkeys(WRITTEN.strip("\n").replace("\n", "|").split("|"))
    while len(texts) < args.count:
        texts["".join(rng.choice(PARTS) for _ in range(rng.randint(1, 16)))] = None
    rows = [json.dumps([text, answer(text)], ensure_ascii=False, separators=(",", ":")) for text in texts]
    args.out.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")
    print(f"{len(rows)} cases, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
