"""Golden values of lib/prompt/syntax/compel from compel's own parser (compel 2.3.1, pyparsing 3.3.3, Python 3.11).

    prompt_compel.py                                 writes test/golden/prompt/compel.json
    prompt_compel.py --seed 7 --count 50000 --out f  other strings, for a check outside the tests (memoized, or deep brackets take years)

Cases are [text, answer], answers {"parts": [[weight, fragments], ...]} for a prompt or an .and(), {"blend": [...], "normalize"} for a
.blend(), both with "loras" [[name, weight], ...] if there are any, and {"fails": name of the exception}. Fragments are [text, weight].
Of a .swap() the original text is kept, between the fragments around it.
"""

import argparse
import json
import random
import signal
from pathlib import Path

import pyparsing
from compel.prompt_parser import Blend, CrossAttentionControlSubstitute, PromptParser

ROOT = Path(__file__).resolve().parents[2]

WRITTEN = r"""
|cat|a photo of a cat|cat+|cat++|cat+++++|cat-|cat-----|cat+-|cat-+|cat +|cat ++ dog|+|++|-|--|+cat|-cat|+ cat|a++b|a+b|a-b|a--b|hi-res
hi-res+|mother-in-law--|C++ code|c++|c+,|cat+,dog|cat+, dog|cat++.|cat-.|a,b|a,,b|a, b|,a|a,|,|.|...|a.b|a.b+|1.5|1.5+|v1.5++|a=b|a=b+
(cat)|(cat)+|(cat)++|(cat)-|(cat)1.2|(cat)1|(cat)0|(cat)0.5|(cat).5|(cat)1.|(cat)1.2.3|(cat)1e2|(cat)-0.5|(cat)+0.5|(cat)１.５|(cat)１
(cat) 1.2|(cat) ++|( cat )1.2|(a b)1.2 c|(a b)1.2c|(a b)1.2(c)1.3|(a b)++c|x(a)1.2|x (a)1.2|(a)(b)|(a)+(b)-|((a))|((a)+)+|((a b)1.3 c)1.1
((a)1.2 (b)0.8)1.5|(a (b (c (d)+)+)+)+|(((a)1.5)|(a|(a (b)+|a)|(a))|(a)+)|()|()+|() a|( )|(())|"cat"|"cat"+|"cat"1.2|"cat" 1.2|"a b"--|""|""+
"a (b)+ c"1.2|"a "b" c"|"a \"b\" c"|"a \"b\" c"+|"cat|cat"|"cat+|"(cat"+|"cat)"+|(a "b c"+ d)1.2|("a b")1.2|"a+ b"-|"a - b"+|"a = b"|("a" "b")
\(cat\)|\(cat\)+|(\(cat\))1.2|\"cat\"|\"cat\"+|cat\+|cat\+\+|cat\++|cat\-|a\,b|a\.b|(a\.b)+|a\=b|(a\=b)+|\|\\|a\b|\\(a\\)|\\\\(a)|(a \\( b)1.2
a\\\(b c|(a\)+|(a\\)+|"a\\"|"a\tb"+|"a\nb"+|"a\x42b"|"a\063"|"a\0b"|(a:1.3)|(a:1.3) b|(masterpiece:1.2), (b)1.1|[a]|[a]+|{a}+|<lora:x:1>|a_b+
a+ b+ c|a+ b+ c+|a+ b- c+|(a)+ (b)+ (c)|(a b)1.1 c+|(a, b)1.2, c|(a,b)1.2|(a. b)1.2|(a.b)1.2|(1.5)+|(a - b)1.2|(a -b)1.2|(a -)1.2|(-a)1.2|(a+ b)1.2
(a = b)1.2|(a + b)|(red-haired girl)1.2|it's+|it's a cat's+|don't-|日本語+|(日本語)1.2|😀++|(😀 é)0.8|naïve+ café-|a　b+|a b+|１+|a
cat.attend(1.2)|cat.attend(+)|cat.attend(---)|(a b).attend(0.8)|"a b".attend(++)|cat .attend ( 1.5 )|cat.attend(-1)|cat.attend(+-)|cat.attend()
cat.attend(x)|(cat.attend(1.2))|(a cat.attend(1.2) b)++|cat.attend(1.2|cat.attend (1.2)dog|("a").attend(1.1)|a.b.attend(2)|.attend(2)
cat.swap(dog)|a cat.swap(dog) b|(a cat).swap(a dog)|"a cat".swap("a dog")|cat.swap(dog, s_start=0.1, s_end=0.4)|cat.swap()|().swap(dog)
cat.swap(dog|cat.swap(a, b)|cat.swap(a. b)|(cat.swap(dog))+|((a b)+ c).swap(d)1.2|a cat.swap(dog)+|(a cat.swap(a.b))|cat.swap(dog.swap(fox))
(a.swap(b) c).swap(d)|cat.swap(a dog, shape_freedom=0.5)|cat+.swap(dog)|a b.swap(c)- d|(a b.swap(c) d)-|cat .swap ( dog )|cat.swap(withLora(x))
withLora(foo)|withLora(foo, 0.8)|withLora(foo,0.8)|useLora(foo, -1)|a withLora(foo, 1.5) b|withLora(a, 1) withLora(b, 2) cat|(a withLora(x, 0.5))+
withLora( foo , .5 )|withLora(foo bar)|withLora(foo.bar)|withLora()|withLora(foo, x)|withLora(foo,+1.5)|withLora(foo,+1)|withLora|withLora+|cat withLora(a-b_c)+
("a", "b").and()|("a", "b").and(1, 0.5)|("a","b").and(1,0.5)|(a, b).and()|("a b", (c d)+).and()|("a b", (c d)).and(2, 3)|("a").and()|("a").and(2)
("a", "b", "c").and()|("a", "b").add()|("a", "b").and(1)|("a", "b").and(1, x)|("a", "b").and() tail|("a", "b").and(1, 2) withLora(x)|lead ("a", "b").and()
("a+ b", "(c)1.2 d").and()|("", "a").and()|((), "a").and(1, 2)|((), ()).and()|("a withLora(x, 0.5)", "b").and()|("a - b", "c = d").and()|("a (b", "c").and()
("a" , "b") .and ( 1 , 2 )|("a", "b",).and()|("a" "b").and()|("a", "b").and(-1, .5)|("a", "b").and(1., +2.5)|("a", "b").android()|withLora(x) ("a", "b").and()
("a", "b").blend(1, 1)|("a", "b").blend(0.7, 0.3)|("a","b").blend(0.7,0.3)|("a", "b").blend()|("a", "b").blend(2, 1, no_normalize)|("a", "b").blend(no_normalize)
("a").blend(1)|(a, b, c).blend(1, 2, 3)|("a+ b", "c").blend(1, -0.5)|("a", "b").blend(1, -1)|("a", "b").blend(1)|("a", "b").blend(1, x)|("a", "b").blend(1, 2) tail
withLora(x, 0.5) ("a", "b").blend(1, 2)|("a", "b").blend(1, 2) withLora(x)|withLora(y) ("a", "b withLora(z)").blend(1, 2) withLora(x)|("a", "").blend(1, 2)
("a", ()).blend(1, 2)|("a.swap(b)", "c").blend(1, 1)|("a", "b").blend(1 2)|("a", "b").blend(1,|("a", ("b", "c").blend(1, 1)).blend(1, 1)|("a", "b").blend(1e3, 2)
(("a", "b").blend(1, 1), "c").and()|("a", "b").blend(x=1, 2)|("a", "b").blend(1, 1, 1)|  ("a", "b").blend(1, 2)  |("a - b", "c d++").blend(1, 3)|.blend(1, 2)
cat.blend(1)|"a, b" c|"a,b" c|("a,b", "c").and()|a ,b|(a ,b)1.2|a\,b+|best quality, 1girl, (red dress)1.3, smile++, outdoors, (blurry)0.5
A mother (holding hands)++ with "her child"1.2, film grain--|a very (happy, smiling)1.4 dog (on a (red)1.2 sofa)0.9 withLora(style-v1, 0.6)
"""

PARTS = ["a", "b", "cat", "dog", "é", "漢字", "😀", "1", "2", "it's", "hi-res", "_", ":", "|", "\\", "(", ")", "(", ")", "((", "))", "\\(", "\\)", '\\"',
         "\\+", '"', '"', '"a"', '"a b"', "(a b)", "+", "++", "-", "--", "1.2", "0.5", ".5", "1.", ",", ", ", ".", "=", " ", " ", " ", " ", "  ", "\n",
         "\t", "\u00a0", ".attend(", ".attend(1.2)", ".swap(", ".swap(b)", "withLora(", "withLora(x, 0.5)", "useLora(y)", ".and()", ".and(1, 2)",
         ".blend(1, 2)", ".blend(", "no_normalize", "(", ")", "x=1", "[", "]"]
WORDS = ["a cat", "b", "red dress", "c+", "(d e)1.2", "x-y", "f, g", "f. g", "it's", "\\(h\\)", "(i)-", "j.attend(2)", "k.swap(l)", "withLora(m)", "n - o",
         "", "p=q", "\\\\(", "a+ b+"]
NUMBERS = ["1", "2", "0.5", ".7", "-1", "1.", "+2.5", "x", "no_normalize", "k=1"]


def operation(rng):
    parts = [rng.choice(["\"{}\"", "\"{}\"", "({})", "{}"]).format(rng.choice(WORDS)) for _ in range(rng.randint(1, 3))]
    numbers = [rng.choice(NUMBERS[:7]) for _ in parts]
    if rng.random() < 0.25:
        numbers = [rng.choice(NUMBERS) for _ in range(rng.randint(0, 3))]
    if rng.random() < 0.3:
        numbers.append("no_normalize")
    text = f"({rng.choice([', ', ',']).join(parts)}){rng.choice(['.and', '.blend', '.blend', '.add'])}({rng.choice([', ', ',']).join(numbers)})"
    return rng.choice(["", "", "", "withLora(z, 2) ", "a "]) + text + rng.choice(["", "", "", " b", " withLora(z)"])


def random_text(rng):
    kind = rng.random()
    if kind < 0.2:
        return operation(rng)
    if kind < 0.5:  # well-formed more often than not
        parts = []
        for _ in range(rng.randint(1, 6)):
            word = rng.choice(WORDS)
            parts.append(rng.choice(["{}", "{}", "({})", "(({}))", "\"{}\"", "(a {} b)"]).format(word) + rng.choice(["", "", "+", "--", "1.3", "0", ".attend(1.5)"]))
        return rng.choice([" ", ", "]).join(parts)
    return "".join(rng.choice(PARTS) for _ in range(rng.randint(1, 14)))


def fragments(children):
    for child in children:
        if isinstance(child, CrossAttentionControlSubstitute):
            yield from fragments(child.original)
        else:
            yield [child.text, child.weight]


class Timeout(BaseException):
    pass


def answer(parser, text):
    try:
        parsed = parser.parse_conjunction(text)
    except Timeout:
        return None
    except Exception as error:
        return {"fails": type(error).__name__}
    loras = {"loras": [[lora.model, lora.weight] for lora in parsed.lora_weights]} if parsed.lora_weights else {}
    if len(parsed.prompts) == 1 and isinstance(parsed.prompts[0], Blend):
        blend = parsed.prompts[0]
        parts = [[weight, list(fragments(prompt.children))] for weight, prompt in zip(blend.weights, blend.prompts)]
        return {"blend": parts, "normalize": blend.normalize_weights, **loras}
    return {"parts": [[weight, list(fragments(prompt.children))] for weight, prompt in zip(parsed.weights, parsed.prompts)], **loras}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=20250)
    options.add_argument("--count", type=int, default=1000)
    options.add_argument("--out", type=Path, default=ROOT / "test/golden/prompt/compel.json")
    args = options.parse_args()
    if args.count > 5000:
        pyparsing.ParserElement.enable_packrat(None)
    parser = PromptParser()

    def alarm(*_):
        raise Timeout

    signal.signal(signal.SIGALRM, alarm)
    rng = random.Random(args.seed)
    texts = dict.fromkeys(WRITTEN.strip("\n").replace("\n", "|").split("|"))
    cases = []
    for text in texts:
        cases.append([text, answer(parser, text)])
    while len(cases) < args.count:
        text = random_text(rng)
        if text in texts:
            continue
        texts[text] = None
        signal.alarm(5)
        found = answer(parser, text)
        signal.alarm(0)
        if found is not None:
            cases.append([text, found])
    args.out.write_text("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + "\n]\n", encoding="utf-8")
    print(f"{len(cases)} cases, {sum('fails' in c[1] for c in cases)} of them fail, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
