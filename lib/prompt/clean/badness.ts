// When ftfy (6.3) takes a line for wrongly decoded: UTF-8 read as an old 8-bit character set gives neighbours that no language writes.
import { spaceClass } from '../python-text.js'

/** The characters that such text consists of, by the company they keep; for use inside a character class. */
const characters = {
  /** Good neighbours of anything. */
  common: '\\xa0\\xad´·–-―’…',
  c1: '\\x80-\\x9f',
  /** Almost never meant. */
  bad: '¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\\ufffd',
  law: '§¶',
  currency: '¢£¥₧€',
  opening: '¡©«¿΄΅‘‚“„•‹\\uf8ff',
  closing: '®»˝”›™',
  numeric: '±-³µ¹¼-¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥',
  /** Parts of emoticons, which have odd neighbours on purpose. */
  faces: '°Ò-ÖÙ-Üò-öø-üŌŐŪŲ',
  upper: 'À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ',
  lower: 'ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ',
  /** Letters that end words often enough to stand before a symbol. */
  upperPlain: 'ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я',
  lowerPlain: 'ά-ωа-џ',
  box: '│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓',
} as const

const anyOf = (...sets: string[]) => `[${sets.join('')}]`

/** The sequences that give a line away, as pattern sources. */
function sequences(): string[] {
  const { common, c1, bad, law, currency, opening, closing, numeric, faces, upper, lower, upperPlain, lowerPlain, box } = characters
  const letter = lower + upper
  const symbols = box + opening + closing + currency + numeric + law
  const arabic = anyOf('ØÙ') + anyOf(common, currency, bad, numeric, opening, 'ŸŠ®°»')
  const aroundPlain = bad + opening + closing + currency + '°'
  return [
    anyOf(c1),
    anyOf(bad, letter, symbols) + anyOf(bad),
    '[a-zA-Z]' + anyOf(lowerPlain, upperPlain) + anyOf(bad),
    anyOf(bad) + anyOf(letter, symbols),
    anyOf(lower, lowerPlain, box, closing, currency, numeric) + anyOf(upper),
    anyOf(box, closing, currency, numeric) + anyOf(lower),
    anyOf(lower, box, closing) + anyOf(currency),
    anyOf(spaceClass) + anyOf(upper) + anyOf(currency),
    anyOf(upper, box) + anyOf(numeric, law),
    anyOf(letter, closing) + anyOf(opening) + anyOf(numeric),
    anyOf(letter, currency, numeric, law) + anyOf(closing) + anyOf(opening),
    anyOf(currency, numeric, box) + anyOf(opening),
    '[a-z]' + anyOf(upper) + anyOf(opening, currency),
    anyOf(box) + anyOf(faces),
    anyOf(letter, currency, numeric, opening, closing, law) + anyOf(box),
    anyOf(box) + anyOf(closing),
    anyOf(letter) + anyOf(opening, closing) + '[\\p{L}\\p{N}_]', // Python's \w
    '[Œœ][^A-Za-z]', // as a ligature it stands before a letter
    anyOf(upper) + '°',
    // Windows-1252
    '[ÂÃÎÐ]' + anyOf('€œŠš¢£Ÿž\\xa0\\xad°·', opening, closing, '–—´'),
    '×[²³]',
    arabic + arabic,
    'à[²µ¹¼½¾]', // Indic scripts
    // Mac OS Roman
    '√[±∂†≠®™´≤≥¥µø]',
    '≈[°¢]',
    '‚Ä[ìîïòôúùû†°¢π]',
    '‚[âó][àä°ê]',
    // Windows-1251
    'вЂ',
    '[ВГРС]' + anyOf(aroundPlain, 'µ') + '[ВГРС]',
    'ГўВЂВ[^\\n][A-Za-z ]', // on top of Windows-1252
    // à and the no-break space in Windows-1252, with a space for the byte 0xA0
    `[a-z]${anyOf(spaceClass)}?[ÃÂ] `,
    '^[ÃÂ] ',
    '[.,?!]Â ',
    // Windows-1253
    'β€[™\\xa0Ά\\xad®°]',
    '[ΒΓΞΟ]' + anyOf(aroundPlain) + '[ΒΓΞΟ]',
  ]
}

let suspects: RegExp | undefined
let wrong: RegExp | undefined

/** Whether a line looks like text that was decoded with the wrong character set. ASCII never does. */
export function isBad(text: string): boolean {
  // Every sequence has a character outside `common` and `faces`; most text without Latin accents has none at all.
  const { common: _, faces: __, ...needed } = characters
  suspects ??= new RegExp(anyOf(...Object.values(needed)))
  if (!suspects.test(text)) return false
  wrong ??= new RegExp(sequences().join('|'), 'u')
  return wrong.test(text)
}
