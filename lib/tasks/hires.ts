import { checkKeys, invalid, optionalChoice, optionalNumber } from '../check.js'
import { share } from './check.js'
import { type HiresOptions, type HiresUpscaler, latentUpscalers, pixelUpscalers } from './types.js'

/** Sizes in pixels of a second pass. */
export interface HiresSize {
  /** What the first picture is scaled to, multiples of the VAE's scale. */
  readonly scaled: { readonly width: number; readonly height: number }
  /** Of that, what is drawn: the middle, where the shapes differ. */
  readonly width: number
  readonly height: number
}

export interface CheckedHires extends HiresSize {
  readonly scale: number | undefined
  readonly upscaler: HiresUpscaler
  readonly strength: number
  readonly steps: number
}

/** What the second pass says of itself beside the fields that it shares with the request. */
export const hiresKeys = [
  'scale',
  'width',
  'height',
  'upscaler',
  'strength',
  'steps',
  'sampler',
  'scheduler',
  'guidance',
  'prompt',
  'negativePrompt',
] as const

/**
 * @param scale pixels per latent
 * @throws      SdxlError ERR_INVALID_ARGUMENT naming the first field that is not what it should be
 */
export function checkHires(
  options: HiresOptions,
  first: { width: number; height: number; steps: number },
  scale: number,
  mostPixels: number,
): CheckedHires {
  checkKeys('hires', options, hiresKeys)
  const side = (name: 'width' | 'height') =>
    optionalNumber(
      `hires.${name}`,
      options[name],
      `a multiple of ${scale} from ${scale} to ${mostPixels}`,
      (n) => Number.isInteger(n) && n >= scale && n <= mostPixels && n % scale === 0,
    )
  const [width, height] = [side('width'), side('height')]
  if (options.scale !== undefined && (width ?? height) !== undefined) throw invalid('hires.scale', 'nothing beside a size', options.scale)
  const factor = optionalNumber('hires.scale', options.scale, 'a number from 1 to 16', (n) => n >= 1 && n <= 16)
  const size = hiresSize(first, width, height, factor ?? 2, scale)
  for (const length of [size.scaled.width, size.scaled.height]) {
    if (length < scale || length > mostPixels) {
      throw invalid('hires', `sides from ${scale} to ${mostPixels} pixels`, `${size.scaled.width} × ${size.scaled.height}`)
    }
  }
  const upscaler = typeof options.upscaler === 'string' ? (options.upscaler.toLowerCase() as HiresUpscaler) : options.upscaler
  return {
    ...size,
    scale: (width ?? height) === undefined ? (factor ?? 2) : undefined,
    upscaler: optionalChoice('hires.upscaler', upscaler, [...latentUpscalers, ...pixelUpscalers] as const) ?? 'latent',
    strength: share('hires.strength', options.strength) ?? 0.7,
    steps:
      optionalNumber('hires.steps', options.steps, 'an integer from 1 to 1000', (n) => Number.isInteger(n) && n >= 1 && n <= 1000) ??
      first.steps,
  }
}

/** A1111's arithmetic, with sides cut to whole latents. */
function hiresSize(
  first: { width: number; height: number },
  width: number | undefined,
  height: number | undefined,
  factor: number,
  scale: number,
): HiresSize {
  const whole = (pixels: number) => Math.floor(Math.trunc(pixels) / scale) * scale
  if (width === undefined && height === undefined) {
    const scaled = { width: whole(first.width * factor), height: whole(first.height * factor) }
    return { scaled, ...scaled }
  }
  const byWidth = (w: number) => ({ width: w, height: whole((w * first.height) / first.width) })
  const byHeight = (h: number) => ({ width: whole((h * first.width) / first.height), height: h })
  if (height === undefined) return { scaled: byWidth(width!), ...byWidth(width!) }
  if (width === undefined) return { scaled: byHeight(height), ...byHeight(height) }
  const flatter = first.width * height < width * first.height
  // Rounded down to whole latents a side could fall short of what is to be drawn.
  const covering = flatter ? byWidth(width) : byHeight(height)
  return { scaled: { width: Math.max(covering.width, width), height: Math.max(covering.height, height) }, width, height }
}
