/**
 * What the native addon offers. lib/ is its only caller and has checked everything before it gets here.
 * Rejections carry `code`, `message` and `details`; a cancelled call has the code 'CANCELLED'.
 */
export interface Addon {
  Engine: new () => NativeEngine
  Cancellation: new () => NativeCancellation
  /** CPUs this process may use, and the instruction sets the engine can use on this one, best first. */
  cpu(): { threads: number; isas: string[] }
  /** Every NVIDIA GPU, or one entry with the id "cuda" that says why there is none. Never rejects. */
  cudaDevices(): Promise<NativeCudaDevice[]>
  inspect(path: string): Promise<NativeInspection>
  convertModel(
    request: NativeConversion,
    cancellation?: NativeCancellation,
    onProgress?: (p: NativeProgress) => void,
  ): Promise<{ tensors: number; bytes: number; sha256: string; remarks: string[] }>
  verifyModel(
    request: { path: string /** Lower case; "": any. */; sha256: string },
    cancellation?: NativeCancellation,
    onProgress?: (p: NativeProgress) => void,
  ): Promise<{ sha256: string; problems: string[] }>
  /** Stops all calls of these two, and waits until they have cleared away what they had begun. For the end of the process. */
  endFileWork(): void
}

export interface NativeCudaDevice {
  id: string
  name: string
  /** Bytes in all; 0: could not be asked. */
  total: number
  /** Bytes; −1: unknown. */
  free: number
  /** Why it cannot be used; "": it can. */
  reason: string
  features: string[]
}

/** Bytes. */
export interface NativeProgress {
  phase: string
  loaded: number
  total: number
}

export interface NativeConversion {
  /** Both absolute. */
  from: string
  to: string
  layout: 'single-file' | 'diffusers'
  /** "": as it is */
  dtype: 'fp32' | 'fp16' | 'bf16' | ''
  overwrite: boolean
  /** Merged into the weights. */
  loras: { path: string; unet: number; textEncoder: number }[]
  /** The file of CLIP's byte-pair merges. */
  merges: string
}

/** Stops the one call it was passed to, before it begins or while it runs. */
export interface NativeCancellation {
  cancel(): void
}

/** One model with a thread of its own; calls are done in the order they were made. */
export interface NativeEngine {
  load(request: NativeLoad, cancellation?: NativeCancellation, onProgress?: (p: NativeProgress) => void): Promise<NativeModelInfo>
  encodePrompt(prompt: NativePrompt & NativeLoras, cancellation?: NativeCancellation): Promise<NativeConditioning>
  generate(
    request: NativeGenerate,
    cancellation: NativeCancellation | undefined,
    onEvent: (event: NativeEvent) => void,
  ): Promise<NativeGenerated>
  predict(request: NativePredict): Promise<Float32Array>
  /**
   * One event per picture, of bytes or, with `pixels`, of the values before rounding. `tile`: side of the tiles to decode in, in latents;
   * 0 lets the memory budget decide.
   */
  decode(
    request: { latents: Float32Array; count: number; height: number; width: number; pixels: boolean; tile: number; tiling?: NativeTiling },
    cancellation: undefined,
    onImage: (event: { index: number; rgb?: Uint8Array; pixels?: Float32Array }) => void,
  ): Promise<void>
  /**
   * Pixels whose byte in `hidden`, [height, width], is not 0 count as middle gray, as inpainting models are shown what is to be repainted.
   * `tile`: as in `decode`, 0 when absent.
   */
  encodeImage(image: {
    width: number
    height: number
    data: Uint8Array
    hidden?: Uint8Array
    tile?: number
    tiling?: NativeTiling
  }): Promise<Float32Array>
  /** Bytes of weights and of the most activations held at once so far. */
  peakBytes(): number
  /** Cancels what runs and waits, then frees the model. To be called once. */
  close(): Promise<void>
}

export interface NativeLoad {
  path: string
  vae: string
  /** Like `vae`, other files or folders for these parts. */
  textEncoder?: string
  textEncoder2?: string
  /** File or folder of a TAESD for previews. */
  taesd?: string
  /** A refiner, which keeps its own text encoder. */
  refiner?: string
  /** "": what the file says */
  prediction?: 'epsilon' | 'v' | ''
  device: string
  precision: string
  threads: number
  memoryBudget: number
  /** Which weights lie in the host's memory until a GPU needs them; default: none. The CPU takes no notice. */
  offload?: 'none' | 'model' | 'layers'
  /** Files of textual inversions, whose tokens are numbered from 49408 in this order. */
  embeddings: string[]
}

export interface NativeModelInfo {
  path: string
  family: string
  prediction: 'epsilon' | 'v'
  device: string
  precision: string
  backend: string
  reason: string
  unet: number
  textEncoder: number
  textEncoder2: number
  vae: number
  latentChannels: number
  /** What the UNet reads: the latents and, of inpainting models, the mask and the masked picture's latents. */
  inChannels: number
  scale: number
  hasRefiner: boolean
  /** Whether there is a TAESD that decodes, as the VAE or beside it. */
  hasTaesd: boolean
  contextWidth: number
  pooledWidth: number
  weightBytes: number
  /** Vectors of each file in NativeLoad.embeddings. */
  embeddings: number[]
  /** As the metadata says it, such as "1024x1024"; "" when it does not. */
  resolution: string
  /** Likewise. */
  title: string
  /** Names of tensors that stand for a property, such as "v_pred" and "ztsnr". */
  markers: string[]
}

/** Chunks of 77 tokens, one behind the other. */
export interface NativeText {
  /** Of the text in the sum that a prompt is. */
  weight: number
  ids: Int32Array
  ids2: Int32Array
  weights: Float32Array
  weights2: Float32Array
  /** One per chunk. */
  strengths: Float32Array
  /** Five numbers each: encoder (1 or 2), chunk, from, to, share; see Hidden in native/engine/prompt.h. */
  hidden: Float64Array
  /** The second encoder's tokens for the pooled vector, [77]; null: the first chunk's */
  pooled: Int32Array | null
}

export interface NativePrompt {
  /** At least one, of as many chunks each. */
  texts: NativeText[]
  emphasis: string
  clipSkip: number
}

export interface NativeWarning {
  code: string
  message: string
}

/** What the call works with; every call says so. */
export interface NativeLoras {
  /** `path`, or "" and a name to be found in `loraDirectory`. */
  loras: { path: string; name: string; unet: number; textEncoder: number }[]
  /** "": none */
  loraDirectory: string
}

/** A part of every prediction: the predictions of all branches are summed with their weights. */
export interface NativeBranch {
  unconditional: boolean
  /** For each model call the index of a prompt; −1: all zeros */
  prompts: Int32Array
  /**
   * For each model call. A branch is not evaluated in a call where its weight is 0, but for the unconditional one if the plan reads
   * 'uncond'. In each call at least one is not 0.
   */
  weights: Float64Array
}

export interface NativeConditioning {
  tokens: number
  context: Float32Array
  pooled: Float32Array
  warnings: NativeWarning[]
}

export interface NativeGenerate extends NativeLoras {
  prompts: NativePrompt[]
  /** The unconditional one, if there is one, first. */
  branches: NativeBranch[]
  /** Share of guidance rescale, φ; 0: none. Acts in calls with an unconditional branch. */
  rescale: number
  /**
   * In place of rescale, Sadat et al. 2024: D = D_c + (guidance − 1) · p, where p is D_c − D_u (denoised estimates with the prompt and without
   * it) plus `momentum` times what it was in the last call, not longer than `limit` (0: no limit), and of what in it points the way of D_c
   * only the share `eta`. { eta: 1, limit: 0, momentum: 0 } changes nothing. Absent or null: none.
   */
  projection?: { eta: number; limit: number; momentum: number } | null
  plan: Float64Array
  /** of the latents */
  height: number
  width: number
  /** one per picture */
  seeds: Float64Array
  rng: string
  /** Unit-normal start noise [pictures, channels, height, width], else it is drawn from the seeds */
  noise: Float32Array | null
  /** Start noise that is drawn becomes slerp(strength, noise of the seed, noise of this seed). One seed per picture. */
  variation: { seeds: Float64Array; strength: number } | null
  /** Scaled latents that the start noise is added to, [1 or pictures, channels, height, width] */
  init: Float32Array | null
  /** 0 … 1, [height, width], for the plan's masked writes; 1 = repaint */
  mask: Float32Array | null
  /** For models with inChannels above latentChannels: the mask, then the scaled latents of the masked picture, [1 or pictures, …, height, width] */
  extra: Float32Array | null
  /** Original, crop, target; (height, width) each */
  sizes: Float32Array
  refiner: NativeRefiner | null
  output: 'images' | 'latents'
  tiling?: NativeTiling
  /** After every so many of the user's steps an event for each picture, from the estimate of the clean latents. */
  preview?: { every: number; method: 'linear' | 'taesd' | 'vae' } | null
}

/** Axes whose edges fit each other: every padded convolution of UNet and VAE wraps around. Absent: neither. */
export interface NativeTiling {
  x: boolean
  y: boolean
}

/** From one model call on the refiner predicts. LoRAs do not act on it. */
export interface NativeRefiner {
  /** The first call that is its own, 0 … all calls. */
  from: number
  prompts: NativePrompt[]
  /** With prompts and weights for all calls of the plan; those before `from` are not looked at, as the base's are not from there on. */
  branches: NativeBranch[]
  /** Five for each branch: original (height, width), crop (top, left), aesthetic score */
  sizes: Float32Array
}

export interface NativeGenerated {
  /** Milliseconds, like the next three. */
  loras: number
  encode: number
  denoise: number
  decode: number
  warnings: NativeWarning[]
  /** [pictures, channels, height, width], scaled, for the output 'latents'; nothing is decoded then. */
  latents?: Float32Array
}

export type NativeEvent =
  | { type: 'step'; index: number; sigma: number; milliseconds: number }
  /** `step`: the user's, from 0; `index`: of the picture. `linear` has one pixel per latent. */
  | { type: 'preview'; step: number; index: number; width: number; height: number; rgb: Uint8Array }
  | { type: 'image'; index: number; rgb: Uint8Array }

export interface NativePredict extends NativeLoras {
  /** [count, inChannels, height, width] */
  latents: Float32Array
  count: number
  height: number
  width: number
  timestep: number
  context: Float32Array
  pooled: Float32Array
  prompts: number
  tokens: number
  sizes: Float32Array
  tiling?: NativeTiling
}

export interface NativeInspection {
  format: string
  family: string
  dtype: string
  variant: string
  prediction: string
  parts: string[]
  tensors: number
  bytes: number
  metadata: Record<string, string>
  problems: string[]
}
