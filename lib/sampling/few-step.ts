/** How a model was distilled to need few steps. */
export type FewStepKind = 'turbo' | 'lightning' | 'lcm' | 'hyper' | 'dmd2' | 'tcd'

/** What a request takes for what it does not say itself. */
export interface FewStepDefaults {
  readonly sampler: string
  readonly scheduler: string
  readonly steps: number
  /** 1: guidance is distilled into the model, and one call per step is enough. */
  readonly guidance: number
  /** Of the sampler. */
  readonly options: Readonly<Record<string, number>>
}

const defaults: Readonly<Record<FewStepKind, FewStepDefaults>> = {
  // Model card of stabilityai/sdxl-turbo: 1 to 4 steps, no guidance, and its scheduler's configuration.
  turbo: { sampler: 'euler_a', scheduler: 'trailing', steps: 4, guidance: 1, options: {} },
  // Model card of ByteDance/SDXL-Lightning: EulerDiscreteScheduler with trailing timesteps, as many steps as the file is made for, no guidance.
  lightning: { sampler: 'euler', scheduler: 'trailing', steps: 4, guidance: 1, options: {} },
  // Model card of latent-consistency/lcm-lora-sdxl: LCMScheduler, 2 to 8 steps, guidance 1 to 2.
  lcm: { sampler: 'lcm', scheduler: 'lcm', steps: 4, guidance: 1, options: {} },
  // Model card of ByteDance/Hyper-SD: DDIMScheduler with trailing timesteps for the files of 2, 4 and 8 steps, no guidance.
  hyper: { sampler: 'ddim', scheduler: 'trailing', steps: 4, guidance: 1, options: {} },
  // README of tianweiy/DMD2: LCMScheduler with the timesteps 999, 749, 499, 249, no guidance.
  dmd2: { sampler: 'lcm', scheduler: 'trailing', steps: 4, guidance: 1, options: {} },
  // Model card of h1t/TCD-SDXL-LoRA: TCDScheduler, 4 steps, eta 0.3, no guidance.
  tcd: { sampler: 'tcd', scheduler: 'lcm', steps: 4, guidance: 1, options: { eta: 0.3 } },
}

/** @param steps what the model's file was made for, where it says so */
export const fewStepDefaults = (kind: FewStepKind, steps?: number): FewStepDefaults =>
  steps === undefined ? defaults[kind] : { ...defaults[kind], steps }

/** How the kinds are called in names of files: between letters only where the word is unmistakable. */
const patterns: readonly (readonly [FewStepKind, RegExp])[] = [
  ['lightning', /lightning/i],
  ['hyper', /hyper[-_ ]?(sd|xl|\d|lora|\b)|(?<![a-z])hyper(?![a-z])/i],
  ['dmd2', /(?<![a-z])dmd2?(?![a-z])/i],
  ['tcd', /(?<![a-z])tcd(?![a-z])/i],
  ['lcm', /(?<![a-z])lcm(?![a-z])/i],
  ['turbo', /turbo/i],
]

/**
 * What the name of a model, or a text of its metadata, says about few steps: "sdxl_lightning_4step.safetensors" is made by Lightning for 4.
 *
 * @returns undefined for a model that needs the usual number of steps
 */
export function fewStepKind(text: string): { kind: FewStepKind; steps?: number } | undefined {
  const kind = patterns.find(([, pattern]) => pattern.test(text))?.[0]
  if (!kind) return undefined
  const steps = Number(/(?<!\d)(\d{1,2})[-_ ]?steps?/i.exec(text)?.[1])
  return steps > 0 ? { kind, steps } : { kind }
}
