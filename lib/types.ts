import type { Image, ImageInput } from './image/index.js'
import type { Diagnostic, PromptOptions, PromptPart, PromptReport } from './prompt/index.js'
import type { SamplerName, SchedulerName } from './sampling/index.js'
import type { HiresOptions, PreviewOptions, RefineOptions, VariationOptions } from './tasks/types.js'
import type { TaskRequest } from './tasks/check.js'

export type { SamplerName, SchedulerName }

/** Row-major numbers with their dimensions. */
export interface Tensor {
  shape: number[]
  data: Float32Array
}

export interface LoadOptions {
  /**
   * 'auto': the first usable GPU, else the CPU; 'cuda': the first usable NVIDIA GPU; 'cuda:N': the one with this id in `listDevices()`. All
   * but 'auto' are used or rejected with ERR_DEVICE_UNAVAILABLE, whose message says why. Default 'auto'.
   */
  device?: 'auto' | 'cpu' | 'cuda' | `cuda:${number}`
  /**
   * Of UNet and text encoders. 'auto', the default: the fastest that keeps picture quality on the device; `ModelInfo.precision` says which.
   *
   * On a CPU 'auto' is 'bf16' where it has AVX-512 BF16, else 'fp32'. With 'fp32' weights are widened and all arithmetic is fp32. 'fp16' and
   * 'bf16' round the weights of linear layers, which halves the memory of a file in fp32; the arithmetic is fp32. With AVX-512 BF16 'bf16' is
   * another thing: the UNet's attention, feed-forward and residual blocks multiply in bf16 and add up in fp32, all else stays as in the file
   * and is computed in fp32.
   *
   * On an NVIDIA GPU weights and activations have 16 bits and sums are in fp32: 'fp16' or 'bf16', with 'auto' bf16 where the checkpoint's
   * UNet is stored in it and fp16 otherwise. 'fp32' is rejected with ERR_INVALID_ARGUMENT. The VAE is always bf16, because SDXL's leaves
   * fp16's range.
   */
  precision?: 'auto' | 'fp32' | 'fp16' | 'bf16'
  /** Another VAE, a file or a Diffusers folder. */
  vae?: string
  /** Another first text encoder, CLIP-L: a file (alone, or a model that has it) or a Diffusers folder. */
  textEncoder?: string
  /** Another second text encoder, OpenCLIP bigG; likewise. */
  textEncoder2?: string
  /** SDXL's refiner, a file or a Diffusers folder; it then finishes every picture, see `GenerateRequest.refine`. */
  refiner?: string
  /** TAESD for SDXL, a small stand-in for the VAE: for previews with the method 'taesd'. */
  taesd?: string
  /** What the UNet predicts, where the file does not say it. */
  prediction?: 'epsilon' | 'v'
  /** Textual inversions: the name that prompts call it by → a safetensors file with the tensors clip_l and clip_g. */
  embeddings?: Record<string, string>
  /** CPU threads; default: the CPUs this process may use. For a GPU they read and lay out weights, and wait while it draws. */
  threads?: number
  memory?: {
    /** Bytes that weights and activations may take together on the device. Large pictures are then decoded in tiles. */
    budget?: number
    /**
     * Where the weights lie while a GPU does not need them; default 'none', on the GPU all the time.
     * - 'model': in the host's memory, and the text encoders, the UNet and the VAE take turns on the GPU. Costs an upload of the UNet per picture.
     * - 'layers': in the host's memory, with room for a few layers on the GPU: each step uploads the UNet, while it computes. Slow, and the least memory.
     *
     * Pictures are the same bytes. The host needs room for all weights, which cannot be swapped out there. On the CPU it has no effect, whose memory
     * holds all weights anyway.
     */
    offload?: 'none' | 'model' | 'layers'
  }
  /** Aborts the loading. */
  signal?: AbortSignal
  /** Bytes of weights read so far. */
  onProgress?: (progress: Progress) => void
}

/** Of long work on files, in bytes. The last phase is 'ready'. */
export interface Progress {
  phase: string
  loaded: number
  total: number
}

/** A LoRA of any family, for UNet, text encoders or both; see docs/loras.md. */
export interface LoraSpec {
  /** A safetensors file. */
  path: string
  /** How strongly it acts, default 1; may be negative or above 1. */
  weight?: number
  /** The same for one part only, default `weight`. */
  unet?: number
  textEncoder?: number
}

/** (height, width), in pixels. Defaults: original = target = the picture's size, crop = (0, 0). */
export interface SizeConditioning {
  original?: [number, number]
  crop?: [number, number]
  target?: [number, number]
}

/**
 * Adaptive projected guidance (Sadat et al. 2024), which keeps high guidance from oversaturating: what guidance adds to the estimate is kept
 * short, and its part along the estimate is left out.
 */
export interface GuidanceProjection {
  /** Share of the part along the estimate that stays, 0 (default) … 1, which is ordinary guidance. */
  eta?: number
  /** Greatest length of what is scaled, over all of a picture's latents; 0: none. Default 15. */
  limit?: number
  /** How much of what was added in the step before is added again, −1 … 1, default −0.5. */
  momentum?: number
}

export interface GenerateRequest extends TaskRequest {
  prompt: string | PromptPart[]
  /** Default ''. */
  negativePrompt?: string | PromptPart[]
  /**
   * Pixels, a multiple of 8. Default: the image's own size, rounded down, else the model's: 1024 unless its metadata says otherwise. With
   * `inpaint.onlyMasked` always the model's.
   */
  width?: number
  height?: number
  /** Default 30; few-step models have their own, see docs/tasks.md. */
  steps?: number
  /** Scale of classifier-free guidance, default 7, or one for each step; ≤ 1: one UNet call per step, the negative prompt is not used. */
  guidance?: number | number[]
  /** Shares of the steps between which there is guidance, default [0, 1]; outside there is one UNet call per step. */
  guidanceInterval?: [start: number, end: number]
  /** How far the guided prediction gets the spread of the unguided one back, 0 (default) … 1. */
  guidanceRescale?: number
  /**
   * Whose habits sampling follows where they differ: which samplers leave out the last level but one, what "automatic" schedules are, how
   * many steps a strength is, how a mask acts, how strong the first noise is. Each has an option of its own besides. Default 'a1111'.
   */
  style?: 'a1111' | 'comfy' | 'diffusers' | 'plain'
  /** Guidance by projection, "APG"; see GuidanceProjection. Not with `guidanceRescale`. */
  guidanceProjection?: GuidanceProjection
  /** A name, or what A1111, ComfyUI, Diffusers or k-diffusion call it. Default 'euler'. */
  sampler?: SamplerName
  /**
   * Default, and "automatic": what the sampler's name says ("DPM++ 2M Karras"), else what the style chooses for it: A1111 'karras' for
   * DPM++ 2M and others, see docs/sampling.md, ComfyUI always 'normal', Diffusers 'ddim_uniform'.
   */
  scheduler?: SchedulerName
  /** Of the sampler: `eta`, `sNoise`, …; see docs/sampling.md. */
  samplerOptions?: Record<string, unknown>
  /** Own noise levels in place of the scheduler's, one more than steps; as `samplingPlan` takes them. */
  sigmas?: number[]
  /** Own training timesteps in place of the scheduler's, one for each step, descending, 0 … 999. */
  timesteps?: number[]
  /** Of the scheduler, as `sigmas` takes them. */
  sigmaMin?: number
  sigmaMax?: number
  rho?: number
  /** Samples from the noise of a zero terminal signal-to-noise ratio. Default: what the model's file says. */
  zeroTerminalSnr?: boolean
  /**
   * Starts from noise of the variance 1 + σ², as ComfyUI and Diffusers do, not of σ², as k-diffusion and A1111 (where this is an option of the
   * same name). For pictures out of noise alone, and for those from an image in ComfyUI's or Diffusers' way where they do it. Default: with their `style`.
   */
  sgmNoiseMultiplier?: boolean
  /** 0 … 2^53 − 1; default random and reported back. Image i uses seed + i; with `variation` all use `seed`. */
  seed?: number
  /** Other pictures near the seed's. */
  variation?: VariationOptions
  /** Pictures, in one batch. Default 1. */
  count?: number
  /** Start noise in place of the seed's, unit normal, (count, 4, height / 8, width / 8). */
  noise?: Tensor
  /** Where noise comes from. 'philox' (default): as torch on CUDA and A1111's "NV"; 'torch-cpu': as torch on a CPU. */
  rng?: 'philox' | 'torch-cpu'
  /** In addition to <lora:…> tags of the prompt. Their order makes no difference. */
  loras?: LoraSpec[]
  /** Where tags find their files, sub-folders included. */
  loraDirectory?: string
  prompting?: PromptOptions
  size?: SizeConditioning
  /** A second pass, larger; not with an image. */
  hires?: HiresOptions
  /** How the refiner takes over, for models loaded with one; `false` leaves it out. */
  refine?: RefineOptions | false
  /** Pictures whose opposite edges fit together, in both directions or one. */
  tiling?: boolean | { x?: boolean; y?: boolean }
  /** Pictures of the unfinished picture. */
  preview?: PreviewOptions
  /** How the prompts were cut, as a result's `parameters` tell it. Has no effect. */
  tokens?: unknown
  /** Aborting rejects with `signal.reason` once the engine has stopped, within one block of the UNet. */
  signal?: AbortSignal
  onProgress?: (event: GenerateEvent) => void
}

export type GenerateEvent =
  | { type: 'step' /** from 1 */; step: number; steps: number; sigma: number; milliseconds: number }
  | { type: 'preview'; step: number; image: Image }
  | { type: 'image'; index: number; image: Image }

export interface GenerateResult {
  images: Image[]
  seed: number
  /** Milliseconds. `load` is 0 for a model that was loaded already. */
  timings: { load: number; loras: number; encode: number; denoise: number; decode: number; total: number }
  tokens: PromptReport
  /** Everything needed to repeat the picture, as a request; `tokens` tells of the prompts' chunks. */
  parameters: Record<string, unknown>
  warnings: Diagnostic[]
}

/** Starts at once; awaitable for the result, async-iterable for the events, both on the same run. */
export interface GenerationJob extends PromiseLike<GenerateResult>, AsyncIterable<GenerateEvent> {
  readonly id: string
  /** Rejects the job with `reason` (default: an AbortError) once the engine has stopped. */
  cancel(reason?: unknown): void
}

export interface Conditioning {
  context: Tensor // (1, 77 · chunks, 2048)
  pooled: Tensor // (1, 1280)
  report: PromptReport
}

export interface ModelInfo {
  path: string
  family: string
  /** What the UNet predicts. */
  prediction: 'epsilon' | 'v'
  /** 'cpu' or 'cuda:N', also where 'auto' or 'cuda' was asked for. */
  device: string
  /**
   * On a GPU 'fp16' or 'bf16', what UNet and text encoders compute with. On a CPU, which computes in fp32, what the weights of linear layers
   * were rounded to; 'fp32' where they were not.
   */
  precision: string
  /** The device's kind and which of our kernels it runs: 'cpu-avx512', 'cpu-avx2', 'cpu-plain', 'cuda-sm_90a', 'cuda-sm_86', … */
  backend: string
  /** Why this device was picked: 'asked for', or what 'auto' found, such as why no GPU can be used. */
  reason?: string
  parameters: { unet: number; textEncoder: number; textEncoder2: number; vae: number }
  /**
   * Bytes of the device's memory; `peak` counts weights and the most activations held at once so far. On a GPU the driver's context and
   * what is reserved for later come on top.
   */
  memory: { weights: number; peak: number }
  /** Textual inversions that prompts can name → number of their vectors. */
  embeddings: Record<string, number>
}

/**
 * A loaded model. Its calls are done one after the other, in the order they were made, on a thread of the model's own. Where its GPU stops
 * working, this and every later call but `close` rejects with ERR_CRASHED.
 */
export interface Model extends AsyncDisposable {
  readonly info: ModelInfo
  /** @throws (rejects) SdxlError ERR_INVALID_ARGUMENT, ERR_PROMPT, ERR_OUT_OF_MEMORY, ERR_CLOSED, ERR_CRASHED; the signal's reason when aborted */
  generate(request: GenerateRequest): GenerationJob
  /** The prompt as a positive one: '' is encoded, not zeroed. */
  encodePrompt(prompt: string | PromptPart[], options?: PromptOptions & { loras?: LoraSpec[] }): Promise<Conditioning>
  /**
   * One raw UNet call: what the network predicts (epsilon or v), of the shape of `latents` (n, 4, h / 8, w / 8); a model for inpainting reads
   * 9 channels, the mask (1 = repaint) and the masked picture's latents behind its own. A conditioning of batch 1
   * serves every latent; it is plain data and may have been edited. `size` defaults to the latents' size in pixels. No guidance here, and
   * no input scaling: latents as the UNet sees them.
   */
  predict(input: {
    latents: Tensor
    timestep: number
    conditioning: Conditioning
    size?: SizeConditioning
    loras?: LoraSpec[]
  }): Promise<Tensor>
  /** Pictures of scaled latents (n, 4, h / 8, w / 8). */
  decode(latents: Tensor): Promise<Image[]>
  /** Decoded pixels before rounding, (n, 3, height, width), about −1 … 1. */
  decodeTensor(latents: Tensor): Promise<Tensor>
  /** Mean of the VAE's posterior, scaled, (1, 4, height / 8, width / 8). */
  encode(image: ImageInput): Promise<Tensor>
  /** Cancels what runs, waits for it, and frees the memory. Later calls reject with ERR_CLOSED. May be called again. */
  close(): Promise<void>
}

export interface DeviceInfo {
  /** As `LoadOptions.device` takes it: 'cpu', 'cuda:0', 'cuda:1', …; 'cuda' alone where there is no GPU to be numbered. */
  id: string
  name: string
  kind: 'cpu' | 'cuda'
  usable: boolean
  /** Why it is not usable. */
  reason?: string
  /** Bytes. Of a GPU only where NVIDIA's management library is there too (in containers: the driver capability "utility"). */
  memory?: { total: number; free: number }
  /**
   * Of a CPU the instruction sets the engine uses here, best first. Of a GPU its compute capability, the newest CUDA its driver knows and the
   * kernels it runs: 'compute 9.0', 'CUDA 12.8', 'sm_90a'.
   */
  features: string[]
}

export interface ModelInspection {
  /** A UNet alone is a single file too; see `parts`. */
  format: 'single-file' | 'diffusers' | 'lora' | 'embedding' | 'vae' | 'unknown'
  /** The models it is one of, or belongs to. A VAE's is known only when its metadata says so: those of SD 1, 2 and SDXL look alike. */
  family: 'sdxl' | 'sdxl-refiner' | 'sd1' | 'sd2' | 'sd3' | 'flux' | 'unknown' | (string & {})
  /** Of SDXL's family, where the structure is not the usual one. */
  variant?: 'inpainting' | 'instruct-pix2pix' | 'ssd-1b' | 'vega'
  /** What the UNet predicts, where the file says so. */
  prediction?: 'epsilon' | 'v'
  /** Of an SDXL model that are there: 'unet', 'text_encoder', 'text_encoder_2', 'vae'. */
  parts: string[]
  /** Of most bytes: 'fp16', 'bf16', 'fp32', … */
  dtype: string
  tensors: number
  /** Of tensor data. */
  bytes: number
  metadata: Record<string, string>
  /** What keeps it from being used as what it is; empty for a model that is complete. */
  problems: string[]
}

export interface ConvertOptions {
  /** Default: 'single-file' when the target's name ends in .safetensors, else 'diffusers', a folder. */
  layout?: 'diffusers' | 'single-file'
  /** Of all weights, rounded to nearest even. Default: each tensor keeps its own. */
  dtype?: 'fp16' | 'bf16' | 'fp32'
  /** Replace a file, or the folder of a model, that stands in the target's place. Default false. */
  overwrite?: boolean
  /** Merged into the weights, in fp32 before they are rounded; what they change of an 8-bit file becomes fp16. */
  loras?: LoraSpec[]
  /** Aborts the conversion, which leaves nothing behind. */
  signal?: AbortSignal
  /** Bytes written; the phases are the parts of the model. */
  onProgress?: (progress: Progress) => void
}

export interface ConvertResult {
  /** As it was given. */
  path: string
  tensors: number
  /** Of the file, or of all files in the folder. */
  bytes: number
  /** Of the file; for a folder, of the list SHA256SUMS that the conversion puts in it. What `verifyModel` gives for the same path. */
  sha256: string
  /** W_LORA_UNMATCHED: tensors of LoRAs that change nothing in the model. */
  warnings: Diagnostic[]
}

export interface VerifyOptions {
  /** The SHA-256 it should have, 64 hexadecimal digits. */
  sha256?: string
  signal?: AbortSignal
  /** Bytes read; the phases are the files. */
  onProgress?: (progress: Progress) => void
}

export interface ModelVerification {
  /** There are no problems. */
  ok: boolean
  /** Of the file. For a folder: of the list of its files' sums, as `sha256sum` prints them, by name. */
  sha256: string
  /** One line each, naming file and tensor. */
  problems: string[]
}
