import { readFileSync } from 'node:fs'

/** PNG files and what Pillow decodes them to, everything in base64; made by png_fixtures.py. */
export const fixtures: readonly { name: string; png: string; rgb: string; alpha: string | null; text: Record<string, string> }[] =
  JSON.parse(readFileSync(new URL('png-fixtures.json', import.meta.url), 'utf8'))
