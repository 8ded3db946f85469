"""Text that was decoded with the wrong character set ("schÃ¶n"), for lib/prompt/clean and its tests.

    mojibake.py  writes lib/prompt/data/code-pages.json: what bytes 0x80 ... 0xFF stand for in each character set that ftfy (6.3.1) tries,
                 in its order; bytes without a meaning stand for the C1 control of their number

For prompt_tokens.py, random_mojibake(rng) makes such text, and text that only looks like it; random_sequences(rng) makes what ftfy tells
the two apart by.
"""

import json
import re
import unicodedata
from pathlib import Path

import ftfy.bad_codecs  # registers the sloppy-* codecs
from ftfy.badness import MOJIBAKE_CATEGORIES, is_bad
from ftfy.chardata import CHARMAP_ENCODINGS

ROOT = Path(__file__).resolve().parents[2]


def write_code_pages():
    pages = {}
    for encoding in CHARMAP_ENCODINGS:
        sloppy = encoding.startswith("sloppy-")
        text = bytes(range(256)).decode(encoding)
        ascii = "".join(map(chr, range(128)))
        # What code-pages.ts takes for granted.
        assert text[:128] == (ascii.replace("\x1a", "\ufffd") if sloppy else ascii) and len(set(text)) == 256
        pages[encoding.removeprefix("sloppy-").replace("macroman", "mac-roman")] = text[128:]
    lines = json.dumps(pages, ensure_ascii=False, indent=0) + "\n"
    lines = re.sub("[\x7f-\xa0\xad\uf8ff]", lambda c: f"\\u{ord(c[0]):04x}", lines)
    (ROOT / "lib/prompt/data/code-pages.json").write_text(lines, encoding="utf-8")


SENTENCES = [
    *"schön grüßen|voilà le travail à la carte|À propos d'été|São Paulo às vezes àquela hora|naïve façade, coöperate|El Niño ¿qué?".split("|"),
    *"smørrebrød på Ærø|Þórr ætlaði|œuvre cœur Œdipe|Łódź żółć gęś|Dvořák příliš žluťoučký kůň|ősz tűz árvíztűrő|mulțumesc țară ăștia".split("|"),
    *"İstanbul ışık ğ ş|Rīga šķērsiela ķīļi|Vilnius ąžuolas įėjęs|Καλημέρα κόσμε Άνθρωπος ώρα|ΕΛΛΗΝΙΚΑ|Привет, мир|ёлка Їжак Ґанок".split("|"),
    *"Љубав њега|שלום עולם|مرحبا بالعالم|سلام دنیا|हिन्दी भाषा|தமிழ்|ภาษาไทย|မြန်မာ|日本語のテキスト、漢字。|中文字符|한국어|“quoted”|it’s".split("|"),
    *"‘single’|„low“ ‚x‛|… – — ― • ·|«guillemets» ‹x›|€5 £3 ¥7 ¢9 ₧|© ® ™ § ¶ °|½ ¼ ¾ ² ³ ¹ ± × ÷ µ|√2 ∞ ≈ ≠ ≤ ≥ ∂ ∑ ∏ ∫ Ω|✔ ☕ ★ ❤️ ♪ →".split("|"),
    *"😀 👍🏽|🏴󠁧󠁢󠁷󠁬󠁳󠁿|👩‍👧 🏳️‍🌈 🇩🇪|𝒜𝔉 𐐷 𠜎|═║╬░▒▓█ │┌┐|(ò_ó) ¬_¬ °Ö°|ªº ¡olé!|ﬁne ﬂow|plain ASCII text".split("|"),
    "¯\\_(ツ)_/¯", "a\u00a0b", "\u200b\ufeff\u00ad",
]
# Pages that programs have mistaken UTF-8 for, the ones ftfy tries most often.
PAGES = [*CHARMAP_ENCODINGS, *CHARMAP_ENCODINGS[:3] * 2, "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257"]
OTHER_PAGES = ["cp850", "cp866", "koi8-r", "iso-8859-1", "iso-8859-15", "shift_jis", "gbk"]
ALPHABET = sorted({c for encoding in CHARMAP_ENCODINGS for c in bytes(range(0x80, 0x100)).decode(encoding)})
CATEGORIES = [[c for c in ALPHABET + ["\u2021", "\ufffd"] if re.match(f"[{members}]", c)] for members in MOJIBAKE_CATEGORIES.values()]
LITERAL = [*"ÂÃÎÐØÙàâ×√≈‚вГВРСβΒΓΞΟāŒœ°€", "‚Ä", "ГўВЂВ", "вЂ", "β€", "ā€", "Â ", "Ã ", "Ã", "â€", "à¤", "ðŸ", "Ø§Ù", "·", "a", "z", "A", " ", ".", "1", "_"]
NEAR = [  # what correct text or broken text may hold; some of it is repaired
    *"Ã|Â|voilà le travail|À propos|Ã la|Ã quele dia|à Ã quela hora|Ã quilo|Ã s vezes|Ã quel point|RÃ|SÃO PAULO|ÂNGELO|PÃO|IRMÃ,|â|ã€|€Â|20€/été|été…|« été »|œil œ.|Ø|ØÙ|ÐÐ°|£5 ½|°C|Ü°|À°|é™|“é”|à²".split("|"),
    *"×²|√2|≈° |вЂ|Гў|а¯b|¬¬|¿Qué?|l’été|É…|Ç'est|AÇAÍ²|Ñandú©|ß$|Å|10 Å|Å å|naïf»|x×y|ŠŠ|¡Olé!|MÊME®|β€|ā€|Î©|Ã©|ÃƒÂ|É™a|Ÿ|¸|‡|Ã? |��".split("|"),
    *"é�|à la Ã|çà et là|Äé|ÄÖÜ äöü ß|¥€$|è¤|¼″|ð|Þ|þ".split("|"),
]

RARE = [  # one for each rule that random text seldom needs
    ".Â .Ã Ю ", "╞¡’ ", "Οâ \x98", "ð \x9c\x8e", "Ð \u201dðŸ \xa0", "é ðŸ ¼", "í\xa0\ufffdí°· í¡\ufffdí¼\u017d", "í\xa0?í±\ufffdí\xa0¼í¿?",
    "π?‘\ufffd", "ð\x90\x90?", "ðŸ˜€ ðŸ‘\ufffd", "São Paulo Ã s vezes Ã quela hora".replace("ã", "Ã£"), "Œ ", "√´≈ ", "·―Ã¶ ", "‘Æ’Ð±Ð° ",
    "\x1aÃƒÂ¥", "Ø?Ø?Ù…Ø·Ù„", "aа¤", "ØªØ·", "Ù…Ø\xad", "Ã  la Ã  quilo",
]


def utf8(text, rng):
    """UTF-8, sometimes of the kinds that are none: CESU-8, and U+0000 in two bytes."""
    if rng.random() < 0.12:
        units = text.encode("utf-16-be", "surrogatepass")
        text = "".join(chr(units[i] << 8 | units[i + 1]) for i in range(0, len(units), 2))
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.06:
        at = rng.choice([i for i in range(len(data) + 1) if i == len(data) or data[i] & 0xC0 != 0x80])
        data = data[:at] + b"\xc0\x80" + data[at:]
    return data


def damage(data, rng):
    kind = rng.random()
    if kind < 0.5:
        return data
    at = rng.randrange(len(data) + 1)
    if kind < 0.62:  # a no-break space that became a space, or vanished
        return data.replace(b"\xa0", rng.choice([b" ", b" ", b""]))
    if kind < 0.70:
        return data[:at]
    if kind < 0.76:
        return data[at:]
    if kind < 0.86:
        return data[:at] + bytes([rng.choice([0x1A, 0x3F, 0x20, 0x80, 0xA0, 0xC0, 0xED, rng.randrange(256)])]) + data[at + 1:]
    if kind < 0.92:
        return data.replace(bytes([rng.choice(data)]) if data else b"", b"?")
    return data + rng.choice([b"\n", b"\r\n", b"\xc0\n", b"\xed\xa0\x80\xed\xb0\n", b"\xed", b"\xed\xa0"])


def misread(text, rng):
    """Text as UTF-8 read as something else."""
    page = rng.choice(PAGES) if rng.random() < 0.95 else rng.choice(OTHER_PAGES)
    text = damage(utf8(text, rng), rng).decode(page, rng.choice(["replace", "replace", "ignore"]))
    loss = rng.random()
    if loss < 0.06:
        text = re.sub("[\x80-\x9f]", rng.choice(["\ufffd", "?", ""]), text)
    elif loss < 0.10:
        text = text.replace("\ufffd", "?")
    elif loss < 0.13:
        text = text.replace("\u00a0", " ")
    return text


def piece(rng):
    kind = rng.random()
    if kind < 0.50:
        text = rng.choice(SENTENCES)
        if rng.random() < 0.3:
            text = rng.choice(text.split())
        for _ in range(rng.choice([1, 1, 1, 1, 2, 2, 3])):
            text = misread(text, rng)
        return text
    if kind < 0.60:
        return rng.choice(SENTENCES)
    if kind < 0.70:
        return rng.choice(NEAR)
    if kind < 0.85:
        return "".join(rng.choice(rng.choice(CATEGORIES)) if rng.random() < 0.6 else rng.choice(LITERAL) for _ in range(rng.randint(2, 6)))
    if kind < 0.95:
        return "".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 5)))
    return rng.choice(CATEGORIES[0]) + rng.choice(["\n", "<", "&eacute;", "&Atilde;&copy;", "&amp;Atilde;&sup3;", "\x1a", "\r", "\u2028", "😀"])


def random_mojibake(rng):
    text = "".join(piece(rng) + rng.choice(["", "", " ", " ", ", ", "\n"]) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])))
    form = rng.random()
    if form < 0.03:
        text = text.upper()
    elif form < 0.06:
        text = text.lower()
    elif form < 0.08:
        text = unicodedata.normalize("NFD", text)
    elif form < 0.11:
        text = "".join(f"&#{ord(c)};" if ord(c) > 126 and rng.random() < 0.5 else c for c in text)
    return text


def random_sequences(rng, count):
    """Short strings that ftfy takes for wrongly decoded, without a character too many, mostly of more than two; and ones that it does not."""
    bad, fine = dict.fromkeys(["aÃ ", "z\u2003Â ", "aа¤", "Ø\xadÙ…", "Ù·Ø–", ".Â ", "╞¡", "β€\xa0"]), {}
    while len(bad) < count or len(fine) < count:
        characters = [rng.choice(rng.choice(CATEGORIES)) if rng.random() < 0.7 else rng.choice(LITERAL) for _ in range(rng.randint(2, 6))]
        text = "".join(characters)
        if not is_bad(text):
            fine[text] = None
            continue
        while is_bad(text[1:]):
            text = text[1:]
        while is_bad(text[:-1]):
            text = text[:-1]
        if len(text) > 2 or rng.random() < 0.02:
            bad[text] = None
    return [*bad][:count], [*fine][:count]


if __name__ == "__main__":
    write_code_pages()
