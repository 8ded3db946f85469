import { checkKeys, invalid, optionalBoolean, optionalChoice, optionalNumber } from '../check.js'
import type { ImageInput } from '../image/index.js'
import type { SamplingStyle } from '../sampling/index.js'
import type { InpaintOptions, OutpaintOptions, ResizeMode, StepArithmetic, VariationOptions } from './types.js'

/** What a request may say of a picture that it starts from. */
export interface TaskRequest {
  /** The picture to start from: a path, a data: URI, the bytes of a file, an Image or raw pixels. */
  image?: ImageInput
  /** What to repaint, white, of the image's size. Any model can; one trained for it does it better. */
  mask?: ImageInput
  /** How much of the image is made anew, 0 … 1, default 0.75. */
  strength?: number
  /** How an image of another shape is fitted to width and height, default 'stretch'. */
  resizeMode?: ResizeMode
  /** How many of the steps a strength is, default 'a1111'. */
  stepArithmetic?: StepArithmetic
  inpaint?: InpaintOptions
  /** Draws on beyond the image's edges. */
  outpaint?: OutpaintOptions
}

export const taskKeys = ['image', 'mask', 'strength', 'resizeMode', 'stepArithmetic', 'inpaint', 'outpaint'] as const

export interface CheckedInpaint {
  readonly mode: NonNullable<InpaintOptions['mode']>
  readonly blur: number
  readonly fill: NonNullable<InpaintOptions['fill']>
  readonly onlyMasked: { readonly padding: number } | false
  readonly invert: boolean
  readonly useAlpha: boolean
  readonly paste: boolean
}

/** A task with every default filled in. */
export interface CheckedTask {
  readonly image: ImageInput
  readonly mask: ImageInput | undefined
  readonly strength: number
  readonly resizeMode: ResizeMode
  readonly stepArithmetic: StepArithmetic
  readonly inpaint: CheckedInpaint
  readonly outpaint: Required<OutpaintOptions> | undefined
}

export const share = (field: string, value: unknown) => optionalNumber(field, value, 'a number from 0 to 1', (n) => n >= 0 && n <= 1)

/** Pixels that may be added at one side, and of padding. */
const mostPadding = 8192
const mostBlur = 256

const pixels = (field: string, value: unknown) =>
  optionalNumber(field, value, `an integer from 0 to ${mostPadding}`, (n) => Number.isInteger(n) && n >= 0 && n <= mostPadding)

/**
 * @param style whose habits are the defaults
 * @returns     undefined for a picture out of noise alone
 * @throws      SdxlError ERR_INVALID_ARGUMENT naming the first field that is not what it should be
 */
export function checkTask(request: TaskRequest, style: SamplingStyle = 'a1111'): CheckedTask | undefined {
  const { image, mask } = request
  if (image === undefined) {
    const other = taskKeys.find((key) => request[key] !== undefined)
    if (other) throw invalid('image', `a picture beside ${other}`, image)
    return undefined
  }
  const outpaint = checkOutpaint(request.outpaint)
  const inpaint = checkInpaint(request.inpaint, outpaint !== undefined, style === 'plain' ? 'a1111' : style)
  if (mask !== undefined && inpaint.useAlpha) throw invalid('inpaint.useAlpha', 'false beside a mask', true)
  if (request.inpaint !== undefined && mask === undefined && !inpaint.useAlpha && !outpaint) {
    throw invalid('mask', 'a picture, or inpaint.useAlpha or outpaint, beside inpaint', mask)
  }
  return {
    image,
    mask,
    strength: share('strength', request.strength) ?? 0.75,
    resizeMode: optionalChoice('resizeMode', request.resizeMode, ['stretch', 'crop', 'fill'] as const) ?? 'stretch',
    stepArithmetic:
      optionalChoice('stepArithmetic', request.stepArithmetic, ['a1111', 'diffusers', 'comfy'] as const) ??
      (style === 'plain' ? 'diffusers' : style),
    inpaint,
    outpaint,
  }
}

function checkInpaint(options: InpaintOptions = {}, outpaint: boolean, usual: CheckedInpaint['mode']): CheckedInpaint {
  checkKeys('inpaint', options, ['mode', 'blur', 'fill', 'onlyMasked', 'invert', 'useAlpha', 'paste'])
  const mode = optionalChoice('inpaint.mode', options.mode, ['a1111', 'comfy', 'diffusers'] as const) ?? usual
  const flag = (name: 'invert' | 'useAlpha' | 'paste') => optionalBoolean(`inpaint.${name}`, options[name])
  const onlyMasked = checkOnlyMasked(options.onlyMasked)
  return {
    mode,
    blur:
      optionalNumber('inpaint.blur', options.blur, `a number from 0 to ${mostBlur}`, (n) => n >= 0 && n <= mostBlur) ??
      (mode === 'a1111' ? 4 : 0),
    // Edges that were only repeated outwards would be drawn as the stripes they are.
    fill:
      optionalChoice('inpaint.fill', options.fill, ['original', 'fill', 'noise', 'nothing'] as const) ?? (outpaint ? 'fill' : 'original'),
    onlyMasked,
    invert: flag('invert') ?? false,
    useAlpha: flag('useAlpha') ?? false,
    paste: flag('paste') ?? (mode === 'a1111' || onlyMasked !== false),
  }
}

function checkOnlyMasked(value: InpaintOptions['onlyMasked']): CheckedInpaint['onlyMasked'] {
  if (value === undefined || value === false) return false
  if (value === true) return { padding: 32 }
  checkKeys('inpaint.onlyMasked', value, ['padding'])
  return { padding: pixels('inpaint.onlyMasked.padding', value.padding) ?? 32 }
}

function checkOutpaint(options: OutpaintOptions | undefined): CheckedTask['outpaint'] {
  if (options === undefined) return undefined
  checkKeys('outpaint', options, ['left', 'right', 'top', 'bottom'])
  const side = (name: keyof OutpaintOptions) => pixels(`outpaint.${name}`, options[name]) ?? 0
  const sides = { left: side('left'), right: side('right'), top: side('top'), bottom: side('bottom') }
  if (Object.values(sides).every((n) => n === 0)) throw invalid('outpaint', 'pixels for left, right, top or bottom', options)
  return sides
}

export function checkVariation(options: VariationOptions | undefined, count: number): VariationOptions | undefined {
  if (options === undefined) return undefined
  checkKeys('variation', options, ['seed', 'strength'])
  const last = Number.MAX_SAFE_INTEGER - (count - 1)
  const fits = (n: number) => Number.isSafeInteger(n) && n >= 0 && n <= last
  const seed = optionalNumber('variation.seed', options.seed, `an integer from 0 to ${last}`, fits)
  const strength = share('variation.strength', options.strength)
  if (seed === undefined) throw invalid('variation.seed', 'an integer', seed)
  if (strength === undefined) throw invalid('variation.strength', 'a number from 0 to 1', strength)
  return { seed, strength }
}
