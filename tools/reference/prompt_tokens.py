"""Golden values of lib/prompt/tokenizer.ts from open_clip's SimpleTokenizer (open_clip_torch 2.32.0, ftfy 6.3.1, Python 3.11).

    prompt_tokens.py                                 writes test/golden/prompt/tokens.json
    prompt_tokens.py --seed 7 --count 20000 --out f  other strings, for a check outside the tests
    prompt_tokens.py --entities                      writes lib/prompt/data/html-entities.json from Python's html.entities

tokens.json: {"cases": [[text, ids]], "special": [[text, ids wanted of us, ids of open_clip]], "mojibake": [[text, ftfy.fix_text(text)]],
"bad": [text], "fine": [text]}
- special: open_clip turns its own names <start_of_text>, <end_of_text> into 49406, 49407. Ours never do; the wanted ids come from the
  same tokenizer with the two names taken out of its pattern.
- mojibake: text that was decoded with the wrong character set, and text that only looks like it; bad and fine: what ftfy takes for the one and
  the other.
"""

import argparse
import html
import html.entities
import json
import random
import unicodedata
from pathlib import Path

from mojibake import NEAR, RARE, random_mojibake, random_sequences

ROOT = Path(__file__).resolve().parents[2]


def write_entities():
    names = dict(sorted(html.entities.html5.items()))
    capitals = {}
    for name, text in names.items():  # the rule of ftfy.chardata: all-capitals spellings that HTML itself leaves alone
        if name.endswith(";") and name == name.lower() and html.unescape("&" + name.upper()) == "&" + name.upper():
            capitals[name.upper()] = text.upper()
    # Name after value, not as an object: V8 takes 10 ms for an object of so many keys, and 1 ms for this.
    lists = {"names": [part for pair in names.items() for part in pair], "capitals": [part for pair in capitals.items() for part in pair]}
    path = ROOT / "lib/prompt/data/html-entities.json"
    path.write_text(json.dumps(lists, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


WORDS = """a photo of an old fisherman, masterpiece, best quality, (detailed:1.2) 1girl solo 8k uhd café naïve façade Zürich smörgåsbord
coöperate jalapeño São Paulo Straße Ørsted Łódź Dvořák İstanbul Iğdır ŉ Ĳssel ǅ ﬁne ﬂower oﬃce ﬅ Ὀδυσσεύς ΟΔΥΣΣΕΥΣ Σ ΣΑΣ ΑΣ.Σ Москва
ёлка Київ ћирилица שלום עולם مرحبا بالعالم سلام دنیا हिन्दी क्षत्रिय தமிழ் తెలుగు ภาษาไทย ลูกแมว ລາວ မြန်မာ ខ្មែរ 日本語 漢字 かたかな カタカナ ﾊﾝｶｸ ｶﾞｷﾞｸﾞ ﾊﾟ
한국어 조선글 ﾡﾢ 中文 繁體 Ｆｕｌｌ Ｗｉｄｔｈ １２３ ！？ 𝒜𝓁𝑔𝑒𝒷𝓇𝒶 𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𝟙𝟚𝟛 Ⅷ ½ ² ① ㊗ ㌔ ٣٤٥ १२३ ๑๒ ௧௨
don't I'M we've they'll she'd it's it’s you're 'twas rock'n'roll 'S 'ſ O’Neil “quoted” ‘single’ „low“ «guillemets» ʼn ‚‛‟
😀 👍🏽 👩‍👩‍👧 🏳️‍🌈 🇩🇪 ❤️ ☕ 🤷🏾‍♂️ 🏴󠁧󠁢󠁷󠁬󠁳󠁿 ™ © … – — · ~ _ __ a_b x² H₂O №5 10° 50% $100 €5 #tag @user C++ c# :) :3 ^_^ (╯°□°) ¯\\_(ツ)_/¯
! !! !!! , ,, . ... ; : - -- / \\ | + ++ = == < > <3 -> => [x] {y} `code` 1234 3.14 1,000 0.5 16:9 1920x1080
supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa hahahahahahahahahaha llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch
<|startoftext|> <|endoftext|> <lora:x:0.8> BREAK AND http://example.com/a?b=c&d=e""".split()
SPECIAL = ["<start_of_text>", "<end_of_text>", "<START_OF_TEXT>", "<End_Of_Text>", "&lt;end_of_text&gt;", "＜ｅｎｄ_ｏｆ_ｔｅｘｔ＞"]
ENTITIES = """&amp; &amp &lt; &gt; &quot; &quot &copy; &copy &copy2020 &reg &nbsp; &nbsp &hellip; &rsquo; &ldquo; &eacute; &EACUTE; &eacute
&SZLIG; &notit; &not &notin; &#39; &#39 &#x27; &#X2019; &#8217 &#128512; &#128; &#x85; &#150 &#0; &#13; &#27; &#xD800; &#x110000; &#59;
&#99999999999999999999999; &#xfeff; &#xFDD0; &amp;amp; &amp;lt;b&amp;gt; &amp;#39; &amp;amp;amp;eacute; &bogus; & && &; &# &#; &#x; &#12ab;
&CounterClockwiseContourIntegral; &AMP; &AMP &Amp; &HilbertSpace; &fjlig; &ThickSpace; ＆ａｍｐ； &zwj; &shy; &ufisht; &NotEqualTilde; &ÉACUTE;""".split()
CONTROLS = ["\x00", "\x07", "\x0b", "\x0c", "\x1b[31m", "\x1b[0m", "\x1b", "\x1c", "\x1f", "\x7f", "\r", "\r\n", "\n", "\t", "\x85", "\x80",
            "\x9f", "\x81", "\u2028", "\u2029", "\ufeff", "\u200b", "\u200d", "\u200e", "\u202e", "\u206a", "\ufff9", "\ufffc", "\ufffd",
            "\u3000", "\u00a0", "\u1680", "\u2003", "\u202f", "\u205f", "\u180e", "\u0345", "\u00ad", "\ue000", "\U000f0000", "\u037e"]
SPANS = [(0x20, 0x7e), (0xa0, 0x17f), (0x180, 0x24f), (0x250, 0x36f), (0x370, 0x3ff), (0x400, 0x52f), (0x590, 0x6ff), (0x900, 0x97f),
         (0xe00, 0xe7f), (0x1100, 0x11ff), (0x1e00, 0x1fff), (0x2000, 0x206f), (0x2070, 0x23ff), (0x2460, 0x27bf), (0x3040, 0x30ff),
         (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xfb00, 0xfdff), (0xff00, 0xffef), (0x10300, 0x104ff), (0x1d400, 0x1d7ff),
         (0x1f300, 0x1faff), (0x20000, 0x2a6df), (0xe0000, 0xe007f), (0x0, 0xffff), (0x10000, 0x10ffff)]


def random_point(rng):
    """Assigned in Python 3.11's Unicode 14, so that a newer Unicode in Node.js changes nothing."""
    while True:
        low, high = rng.choice(SPANS)
        c = chr(rng.randint(low, high))
        if unicodedata.category(c) not in ("Cn", "Cs"):
            return c


def random_text(rng):
    kind = rng.random()
    if kind > 0.9:
        return random_mojibake(rng)
    if kind < 0.12:
        return "".join(random_point(rng) for _ in range(rng.randint(1, 24)))
    if kind < 0.17:
        letters = rng.choice(["abcdefghijklmnopqrstuvwxyz", "etaoin", "ab", "ÄÖÜßéè", "абвгд", "あいうえお", "日月火水木"])
        return "".join(rng.choice(letters) for _ in range(rng.randint(20, 120)))
    parts = []
    for _ in range(rng.randint(1, 7)):
        r = rng.random()
        if r < 0.62:
            part = rng.choice(WORDS)
        elif r < 0.78:
            part = rng.choice(ENTITIES)
        elif r < 0.88:
            part = rng.choice(CONTROLS)
        elif r < 0.994:
            part = "".join(random_point(rng) for _ in range(rng.randint(1, 3)))
        else:
            part = rng.choice(SPECIAL)
        form = rng.random()
        if form < 0.08:
            part = unicodedata.normalize("NFD", part)
        elif form < 0.16:
            part = part.upper()
        elif form < 0.20:
            part = part.title()
        elif form < 0.23:  # full width
            part = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in part)
        parts.append(part)
    return "".join(p + rng.choice([" ", " ", " ", "", ", ", "  ", "\n"]) for p in parts)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=20240)
    options.add_argument("--count", type=int, default=4200)
    options.add_argument("--mojibake", type=int, default=800)
    options.add_argument("--out", type=Path, default=ROOT / "test/golden/prompt/tokens.json")
    options.add_argument("--entities", action="store_true")
    args = options.parse_args()
    if args.entities:
        return write_entities()

    import ftfy
    import regex
    from open_clip.tokenizer import SimpleTokenizer

    reference = SimpleTokenizer()
    unnamed = SimpleTokenizer()
    unnamed.pat = regex.compile(r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+""", regex.IGNORECASE)

    def settled(text):
        """Whether Node.js, whose Unicode is newer than the 14 of Python 3.11, sees the same: a repair may give unassigned characters."""
        return not any(unicodedata.category(c) == "Cn" for c in reference.clean_fn(text))

    rng = random.Random(args.seed)
    markup = ["<p>it&rsquo;s</p>\n&rsquo;", "&rsquo;\n<p>&rsquo;", "a <b &eacute; é&copy 2020"]
    every = ["", " ", *WORDS, *ENTITIES, *SPECIAL, *markup]
    texts = dict.fromkeys([*every, *(f"a{c}b" for c in CONTROLS + ENTITIES)])
    while len(texts) < args.count:
        text = random_text(rng)
        if settled(text):
            texts[text] = None

    cases, special = [], []
    for text in texts:
        theirs, wanted = reference.encode(text), unnamed.encode(text)
        if theirs != wanted:
            special.append([text, wanted, theirs])
        else:
            cases.append([text, wanted])

    texts = dict.fromkeys([*NEAR, *RARE])
    while len(texts) < args.mojibake:
        text = random_mojibake(rng)
        if settled(text):
            texts[text] = None
    mojibake = [[text, ftfy.fix_text(text)] for text in texts]

    bad, fine = random_sequences(rng, args.mojibake)
    golden = {"cases": cases, "special": special, "mojibake": mojibake, "bad": bad, "fine": fine}
    args.out.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    repaired = sum(ftfy.fix_text(text, fix_encoding=False) != fixed for text, fixed in mojibake)
    print(f"{len(cases)} cases, {len(special)} with special names, {repaired} of {len(mojibake)} repaired, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
