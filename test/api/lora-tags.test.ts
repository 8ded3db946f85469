import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readPng } from '../../lib/image/index.js'
import { type GenerateRequest, parseInfotext } from '../../lib/index.js'
import { kohya, lokr, loraFolder, tinyModelForLoras } from '../support/lora-drawing.js'
import { temporaryFolder } from '../support/files.js'

const temporary = temporaryFolder()
const loraDirectory = join(temporary, 'loras')
const copies = {
  'Ink.safetensors': 'dora',
  'renamed.safetensors': 'kohya',
  'styles/ink.safetensors': 'lokr',
  'styles/Wash.safetensors': 'loha',
  'styles/deep/er/chalk.SAFETENSORS': 'ia3',
  'styles/deep/wash.safetensors': 'glora',
  'two words, (and) more.safetensors': 'oft',
  'ascii.txt': 'oft',
}
const outside = join(temporary, 'outside.safetensors')
for (const [name, from] of Object.entries(copies)) {
  mkdirSync(join(loraDirectory, name, '..'), { recursive: true })
  copyFileSync(`${loraFolder}${from}.safetensors`, join(loraDirectory, name))
}
copyFileSync(lokr, outside)
writeFileSync(join(loraDirectory, 'damaged, but asked for by nobody.safetensors'), 'no tensors')

const { draw, pixels } = tinyModelForLoras()
const withTag = (tag: string) => draw({ prompt: `a red fox ${tag}`, loraDirectory })

/** The prompt as it is encoded once the tag is gone. */
const bare = { prompt: 'a red fox ' }

describe('a tag in the prompt', () => {
  test.each([
    ['by its path below the folder', 'styles/ink', lokr],
    ['by its file name', 'renamed', kohya],
    ['by its file name, in a sub-folder', 'ink', lokr],
    ['by its file name in its own case', 'Ink', `${loraFolder}dora.safetensors`],
    ['regardless of case', 'RENAMED', kohya],
    ['regardless of case, with its path', 'STYLES/Deep/WASH', `${loraFolder}glora.safetensors`],
    ['by its file name in a sub-folder of a sub-folder, extension in capitals', 'chalk', `${loraFolder}ia3.safetensors`],
    ['by what the trainer called it', 'kohya-output', kohya],
    ['with spaces, a comma and brackets in its name', 'two words, (and) more', `${loraFolder}oft.safetensors`],
  ])('finds a file %s', async (_, name, path) => {
    const { images, warnings } = await withTag(`<lora:${name}:1>`)
    expect(warnings).toEqual([])
    expect(images[0]!.data).toEqual(await pixels({ ...bare, loras: [{ path }] }))
    expect(images[0]!.data).not.toEqual(await pixels(bare))
  })

  test('gives the strengths, that of the text encoders first', async () => {
    const found = async (tag: string) => (await withTag(tag)).images[0]!.data
    const wanted = (unet: number, textEncoder: number) => pixels({ ...bare, loras: [{ path: lokr, unet, textEncoder }] })
    expect(await found('<lora:styles/ink>')).toEqual(await wanted(1, 1))
    expect(await found('<lora:styles/ink:0.5>')).toEqual(await wanted(0.5, 0.5))
    expect(await found('<lora:styles/ink:0.5:-0.8>')).toEqual(await wanted(-0.8, 0.5))
    expect(await found('<lora:styles/ink:unet=0.3>')).toEqual(await wanted(0.3, 1))
    expect(await found('<lora:styles/ink:te=0:unet=0.3>')).toEqual(await wanted(0.3, 0))
    expect(await found('<lora:styles/ink:0>')).toEqual(await pixels(bare))
    expect(await wanted(-0.8, 0.5)).not.toEqual(await wanted(0.5, -0.8))
  })

  test('counts beside the LoRAs of the request, in any order', async () => {
    const both = await pixels({
      ...bare,
      loras: [
        { path: kohya, weight: 0.4 },
        { path: lokr, weight: 0.5 },
      ],
    })
    const half = await draw({ prompt: 'a red fox <lora:kohya-output:0.4>', loraDirectory, loras: [{ path: lokr, weight: 0.5 }] })
    const tags = await withTag('<lora:styles/ink:0.5><lora:kohya-output:0.4>')
    // The same files lie at other paths, which is the order that the changes are summed in.
    expect(maximumDifference(half.images[0]!.data, both)).toBeLessThanOrEqual(1)
    expect(maximumDifference(tags.images[0]!.data, both)).toBeLessThanOrEqual(1)
    expect((await withTag('<lora:kohya-output:0.4><lora:styles/ink:0.5>')).images[0]!.data).toEqual(tags.images[0]!.data)
  })

  test('works in compel’s syntax', async () => {
    const request: Partial<GenerateRequest> = { prompt: 'a red fox withLora(renamed, 0.5)', prompting: { syntax: 'compel' } }
    const { images, warnings } = await draw({ ...request, loraDirectory })
    expect(warnings).toEqual([])
    // compel pools the text as it stands, so the same text is what to compare with.
    const wanted = await draw({ ...request, loras: [{ path: kohya, weight: 0.5 }] })
    expect(wanted.warnings).toMatchObject([{ code: 'E_LORA_MISSING' }])
    expect(images[0]!.data).toEqual(wanted.images[0]!.data)
  })

  test('is text in a negative prompt', async () => {
    const { warnings, images } = await draw({ negativePrompt: 'blurry <lora:styles/ink>', loraDirectory })
    expect(warnings).toMatchObject([{ code: 'W_TAG_IN_NEGATIVE' }])
    const other = await draw({ negativePrompt: 'blurry <lora:styles/ink>' })
    expect(images[0]!.data).toEqual(other.images[0]!.data)
  })

  test('keeps tags in the picture’s text', async () => {
    const prompt = 'a red fox <lora:styles/ink:0.5:0.8>, <lora:nobody>'
    const { images } = await draw({ prompt, loraDirectory })
    const { text } = await readPng(await images[0]!.png())
    expect(text.parameters!.split('\n')[0]).toBe(prompt)
    expect(parseInfotext(text.parameters!).request.prompt).toBe(prompt)
  })
})

function maximumDifference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), a.length === b.length ? 0 : 255)
}

describe('a tag that means no file', () => {
  const inside = resolve(loraDirectory, 'styles/ink')
  test.each([
    ['of another name', 'nobody'],
    ['of a part of a name', 'styles/in'],
    ['with the extension', 'styles/ink.safetensors'],
    ['of a folder', 'styles'],
    ['of a file of another kind', 'ascii'],
    ['above the folder', '../outside'],
    ['above the folder, by a way round', 'styles/../../outside'],
    ['inside the folder, by a way round', 'styles/../styles/ink'],
    ['with a full path', resolve(temporary, 'outside')],
    ['with a full path and extension', outside],
    ['with a full path inside the folder', inside],
    ['with a dot before it', './styles/ink'],
    ['with a pattern', 'styles/*'],
    ['with a NUL in it', 'styles/ink\0'],
    ['of very many letters', 'x'.repeat(10_000)],
  ])('%s gives a warning and a picture without it', async (_, name) => {
    const { images, warnings } = await withTag(`<lora:${name}:0.8>`)
    expect(warnings).toMatchObject([{ code: 'E_LORA_MISSING' }])
    expect(warnings[0]!.message).toContain(name.slice(0, 40))
    expect(warnings[0]!.message).toContain(loraDirectory)
    expect(images[0]!.data).toEqual(await pixels(bare))
  })

  test('without a folder every tag is one', async () => {
    const { images, warnings } = await draw({ prompt: `a red fox <lora:styles/ink> <lora:${resolve(temporary, 'outside')}>` })
    expect(warnings.map(({ code }) => code)).toEqual(['E_LORA_MISSING', 'E_LORA_MISSING'])
    expect(warnings[0]!.message).toMatch(/styles\/ink.*loraDirectory/)
    expect(images[0]!.data).toEqual(await pixels({ prompt: 'a red fox  ' }))
  })

  test('the others count', async () => {
    const { images, warnings } = await withTag('<lora:nobody><lora:renamed:0.7>')
    expect(warnings).toMatchObject([{ code: 'E_LORA_MISSING' }])
    expect(images[0]!.data).toEqual(await pixels({ ...bare, loras: [{ path: kohya, weight: 0.7 }] }))
  })

  test('a folder that is none is an error', async () => {
    for (const folder of [join(temporary, 'nowhere'), outside])
      await expect(draw({ prompt: '<lora:ink>', loraDirectory: folder })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        details: { field: 'loraDirectory', path: folder },
      })
  })

  test('an empty folder is not', async () => {
    const folder = join(temporary, 'empty')
    mkdirSync(folder)
    expect((await draw({ prompt: '<lora:ink>', loraDirectory: folder })).warnings).toMatchObject([{ code: 'E_LORA_MISSING' }])
  })
})

describe('of a tag’s files', () => {
  test.each([
    ['INK', 'Ink.safetensors'],
    ['WASH', 'styles/Wash.safetensors'],
  ])('several are called %s: the first is used, with a warning', async (name, first) => {
    const { images, warnings } = await withTag(`<lora:${name}>`)
    expect(warnings).toMatchObject([{ code: 'W_LORA_AMBIGUOUS' }])
    expect(warnings[0]!.message).toContain(join(loraDirectory, first))
    expect(images[0]!.data).toEqual(await pixels({ ...bare, loras: [{ path: join(loraDirectory, first) }] }))
  })

  test('a damaged one is an error, not a picture', async () => {
    const name = 'damaged, but asked for by nobody'
    await expect(withTag(`<lora:${name}>`)).rejects.toMatchObject({ code: 'ERR_LORA_FORMAT' })
  })
})
