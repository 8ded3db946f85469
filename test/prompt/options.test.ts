import { describe, expect, it } from 'vitest'
import { SdxlError } from '../../lib/errors.js'
import { checkPromptOptions, explainPrompt, type PromptOptions, parsePrompt } from '../../lib/prompt/index.js'

const check = (options: unknown, field?: string) => checkPromptOptions(options as PromptOptions, field)

function errorOf(run: () => unknown): SdxlError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(SdxlError)
    return error as SdxlError
  }
  throw new Error('nothing was thrown')
}

describe('prompt options', () => {
  it('have defaults', () => {
    const defaults = {
      syntax: 'a1111',
      emphasis: 'a1111',
      chunk: { size: 75, backtrack: 20 },
      zeroEmptyNegative: true,
      clipSkip: 1,
      prompt2: undefined,
      comments: false,
      strict: false,
    }
    expect(check(undefined)).toEqual(defaults)
    expect(check({ chunk: { size: 75 } })).toEqual(defaults)
  })

  it('are kept where given', () => {
    const given = {
      syntax: 'plain',
      emphasis: 'no-norm',
      chunk: { size: 75, backtrack: 0 },
      zeroEmptyNegative: false,
      clipSkip: 2,
      prompt2: '',
      comments: true,
      strict: true,
    }
    expect(check(given)).toEqual(given)
  })

  it.each<[unknown, string]>([
    [null, 'Expected an object for prompting, received null'],
    ['a1111', 'Expected an object for prompting, received "a1111"'],
    [{ emphasys: 1 }, 'Unknown option prompting.emphasys; allowed are syntax, emphasis'],
    [{ syntax: 'invokeai' }, 'for prompting.syntax, received "invokeai" of type string'],
    [{ emphasis: 'loud' }, 'Expected one of "a1111", "no-norm", "comfy", "compel", "ignore" for prompting.emphasis, received "loud"'],
    [{ comments: 1 }, 'Expected a boolean for prompting.comments'],
    [{ chunk: 75 }, 'Expected an object for prompting.chunk, received 75'],
    [{ chunk: { length: 75 } }, 'Unknown option prompting.chunk.length; allowed are size, backtrack'],
    [{ chunk: { size: 77 } }, 'for prompting.chunk.size, received 77'],
    [{ chunk: { backtrack: 75 } }, 'for prompting.chunk.backtrack, received 75'],
    [{ chunk: { backtrack: 1.5 } }, 'for prompting.chunk.backtrack, received 1.5'],
    [{ clipSkip: 0 }, 'Expected an integer ≥ 1 for prompting.clipSkip, received 0 of type number'],
    [{ clipSkip: '2' }, 'received "2" of type string'],
    [{ prompt2: 5 }, 'Expected a string for prompting.prompt2, received 5'],
    [{ strict: 'yes' }, 'Expected a boolean for prompting.strict'],
    [{ zeroEmptyNegative: 1 }, 'Expected a boolean for prompting.zeroEmptyNegative'],
  ])('%j is refused', (options, message) => {
    const error = errorOf(() => check(options))
    expect(error.code).toBe('ERR_INVALID_ARGUMENT')
    expect(error.message).toContain(message)
  })

  it('are named after the field they come from', () => {
    expect(errorOf(() => check({ strict: 1 }, 'options')).message).toContain('for options.strict')
  })

  it('are checked by every function that takes them', () => {
    const wrong = { syntax: 'invokeai' } as unknown as PromptOptions
    expect(errorOf(() => parsePrompt('a', wrong)).message).toContain('prompting.syntax')
    expect(errorOf(() => explainPrompt('a', wrong)).message).toContain('prompting.syntax')
    expect(errorOf(() => explainPrompt('a', { steps: 0 })).message).toContain('Expected an integer from 1 to 10000 for steps')
    expect(errorOf(() => parsePrompt('a', { steps: 0 })).message).toContain('Expected an integer from 1 to 10000 for steps')
    expect(errorOf(() => parsePrompt('a', { negative: 1 as unknown as boolean })).message).toContain('for negative')
  })
})

describe('prompts', () => {
  it.each<[unknown, string]>([
    [undefined, 'Expected a string or an array of { text, weight? } for text, received undefined of type undefined'],
    [7, 'received 7 of type number'],
    [['a'], 'Expected an object for prompt[0], received "a"'],
    [[{ text: 'a' }, { text: 1 }], 'Expected a string for prompt[1].text, received 1'],
    [[{ text: 'a', weight: Number.NaN }], 'Expected a finite number for prompt[0].weight'],
    [[{ text: 'a', wieght: 1 }], 'Unknown option prompt[0].wieght'],
  ])('%j is refused', (prompt, message) => {
    const error = errorOf(() => explainPrompt(prompt as string))
    expect(error.code).toBe('ERR_INVALID_ARGUMENT')
    expect(error.message).toContain(message)
  })

  it('of parsePrompt are strings', () => {
    expect(errorOf(() => parsePrompt(null as unknown as string)).message).toBe('Expected a string for text, received null of type null')
  })
})
