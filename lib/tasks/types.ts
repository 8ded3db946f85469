// What a request says about its task: which picture it starts from, what of it is repainted, and what follows the first pass.
import type { PromptPart } from '../prompt/index.js'
import type { SamplerName, SchedulerName } from '../sampling/index.js'

/** How a picture of another shape is fitted: 'stretch'; 'crop' what is over; 'fill' what is missing with the picture's edges. */
export type ResizeMode = 'stretch' | 'crop' | 'fill'

/**
 * How many steps a strength is. 'a1111': ⌊strength · steps⌋ + 1 of them, at most all; 'diffusers': ⌊strength · steps⌋; 'comfy': all `steps`,
 * of a schedule of ⌊steps / strength⌋, as A1111's option to do exactly as many steps as it says.
 */
export type StepArithmetic = 'a1111' | 'diffusers' | 'comfy'

export interface InpaintOptions {
  /**
   * Whose way of keeping what is not repainted, default 'a1111'.
   * - 'a1111': every estimate of the model gets the picture back outside of the mask, which is rounded to whole latents
   * - 'comfy': what the model sees gets the picture with fresh-start noise as well, and the mask may be soft
   * - 'diffusers': after each step the picture with that step's noise is put back; with inpainting models only the model sees the mask
   */
  mode?: 'a1111' | 'comfy' | 'diffusers'
  /** Standard deviation in pixels that the mask is blurred with. Default 4 for 'a1111', else 0. */
  blur?: number
  /**
   * What the repainted part starts from: the picture itself (default), 'fill': colours around it, blurred, 'noise': those with the start
   * noise as latents, 'nothing': zero latents.
   */
  fill?: 'original' | 'fill' | 'noise' | 'nothing'
  /**
   * Repaints a crop around the mask, at the request's width and height, and pastes it back. `padding`: pixels of the picture around the
   * mask, default 32.
   */
  onlyMasked?: boolean | { padding?: number }
  /** Repaints where the mask is black. */
  invert?: boolean
  /** The mask is where the picture is transparent; in place of `mask`. */
  useAlpha?: boolean
  /** Puts the original pixels back outside of the mask. Default: in the mode 'a1111', and always with `onlyMasked`. */
  paste?: boolean
}

/** Pixels to add at each side; they become part of the mask. */
export interface OutpaintOptions {
  left?: number
  right?: number
  top?: number
  bottom?: number
}

/** Start noise between that of `seed` (strength 0) and that of this seed (1), on the sphere. Image i uses the variation's seed + i. */
export interface VariationOptions {
  seed: number
  strength: number
}

/** A second pass over the picture, larger. */
export interface HiresOptions {
  /** Default 2; or the size in pixels, where one side follows from the other and both cut what is over. */
  scale?: number
  width?: number
  height?: number
  /** Names of A1111. Those of latents save decoding and encoding, at a strength of 0.5 or more. Default 'latent'. */
  upscaler?: HiresUpscaler
  /** How much of the picture is made anew, default 0.7. */
  strength?: number
  /** Default: those of the first pass. As many as this says are done. */
  steps?: number
  sampler?: SamplerName
  scheduler?: SchedulerName
  guidance?: number
  prompt?: string | PromptPart[]
  negativePrompt?: string | PromptPart[]
}

export const latentUpscalers = [
  'latent',
  'latent (antialiased)',
  'latent (bicubic)',
  'latent (bicubic antialiased)',
  'latent (nearest)',
  'latent (nearest-exact)',
] as const
export const pixelUpscalers = ['lanczos', 'nearest'] as const
export type LatentUpscaler = (typeof latentUpscalers)[number]
export type HiresUpscaler = LatentUpscaler | (typeof pixelUpscalers)[number]

/** How the refiner that the model was loaded with takes over. With `hires` it does in the second pass. */
export interface RefineOptions {
  /** Share of the noise schedule that is the base model's, default 0.8. */
  switchAt?: number
  /** What `switchAt` is a share of: training timesteps, as in A1111 and Diffusers (default), or 'steps', as in ComfyUI. */
  by?: 'timesteps' | 'steps'
  /** What the refiner is told of the picture, 1 … 10. Defaults 6 and, for the negative prompt, 2.5. */
  aestheticScore?: number
  negativeAestheticScore?: number
}

export interface PreviewOptions {
  /** A preview after every so many steps. */
  every: number
  /** 'linear' (default): a small picture, one pixel per latent; 'taesd': needs the load option `taesd`; 'vae': the picture itself, slow. */
  method?: 'linear' | 'taesd' | 'vae'
}
