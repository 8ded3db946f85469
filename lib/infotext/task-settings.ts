// What a text says of tasks: A1111's keys where it has them, keys of the same form where it has none.
import { basename } from 'node:path'
import type { PromptPart } from '../prompt/index.js'
import { samplerLabel, samplingStyles, schedulerLabel } from '../sampling/index.js'
import type { GenerateRequest } from '../types.js'
import { type Draft, put, type Reader } from './draft.js'
import { readSampling } from './names.js'
import { partsText } from './parts.js'
import { boolean, heightWidth, integer, named, number, numbers, oneOf, plainObject, promptParts } from './values.js'

export type Settings = Record<string, string | number | undefined>

const invert = (labels: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(labels).map(([name, label]) => [label.toLowerCase(), name]))

const fills = { original: 'original', fill: 'fill', noise: 'latent noise', nothing: 'latent nothing' } as const
const resizeModes = { stretch: 'Just resize', crop: 'Crop and resize', fill: 'Resize and fill' } as const
type Fill = keyof typeof fills
type Mode = keyof typeof resizeModes

const upscalerLabel = (name: string) => name.charAt(0).toUpperCase() + name.slice(1)

type Prompt = string | PromptPart[]
const promptValue = (prompt: Prompt | undefined) =>
  prompt === undefined ? undefined : typeof prompt === 'string' ? prompt : partsText(prompt)
const partsValue = (prompt: Prompt | undefined) => (Array.isArray(prompt) ? JSON.stringify(prompt) : undefined)
const unless = <T>(usual: T, value: T | undefined) => (value === usual ? undefined : value)

/** Of sampling beyond sampler, schedule and scale. */
export function samplingSettings(given: Partial<GenerateRequest>): Settings {
  const {
    style,
    samplerOptions = {},
    sigmas,
    timesteps,
    sigmaMin,
    sigmaMax,
    rho,
    zeroTerminalSnr,
    sgmNoiseMultiplier,
    guidanceInterval,
    guidanceRescale,
    guidanceProjection,
    guidance,
  } = given
  const { eta, sNoise, ...others } = samplerOptions
  return {
    'Sampling style': unless('a1111', style),
    'CFG schedule': Array.isArray(guidance) ? guidance.join(', ') : undefined,
    'CFG interval': guidanceInterval?.join(', '),
    'CFG rescale': guidanceRescale,
    'CFG projection': guidanceProjection && JSON.stringify(guidanceProjection),
    Eta: eta as number | undefined,
    'Sigma noise': sNoise as number | undefined,
    'Sampler options': Object.keys(others).length > 0 ? JSON.stringify(others) : undefined,
    'Schedule min sigma': sigmaMin,
    'Schedule max sigma': sigmaMax,
    'Schedule rho': rho,
    Sigmas: sigmas?.join(', '),
    Timesteps: timesteps?.join(', '),
    'Noise Schedule': zeroTerminalSnr ? 'Zero Terminal SNR' : undefined,
    'SGM noise multiplier': sgmNoiseMultiplier === undefined ? undefined : sgmNoiseMultiplier ? 'True' : 'False',
  }
}

export function taskSettings(given: Partial<GenerateRequest> & { refiner?: string }): Settings {
  return {
    ...imageSettings(given),
    ...variationSettings(given),
    ...hiresSettings(given),
    ...refinerSettings(given),
    ...tilingSetting(given),
  }
}

function imageSettings({ image, mask, strength, resizeMode, stepArithmetic, inpaint, outpaint }: Partial<GenerateRequest>): Settings {
  if (image === undefined) return {}
  const repaints = mask !== undefined || inpaint?.useAlpha || outpaint !== undefined
  return {
    'Denoising strength': strength,
    'Resize mode': resizeMode && resizeModes[resizeMode],
    'Step arithmetic': unless('a1111', stepArithmetic),
    ...(repaints && inpaint
      ? {
          'Inpaint mode': unless('a1111', inpaint.mode),
          'Mask blur': inpaint.blur,
          'Masked content': inpaint.fill && fills[inpaint.fill],
          'Mask mode': inpaint.invert ? 'Inpaint not masked' : undefined,
          'Inpaint area': inpaint.onlyMasked ? 'Only masked' : undefined,
          'Masked area padding': typeof inpaint.onlyMasked === 'object' ? inpaint.onlyMasked.padding : undefined,
          'Mask source': inpaint.useAlpha ? 'alpha' : undefined,
          'Mask paste': inpaint.paste === undefined ? undefined : inpaint.paste ? 'True' : 'False',
        }
      : {}),
    Outpaint: outpaint && JSON.stringify(outpaint),
  }
}

function variationSettings({ variation }: Partial<GenerateRequest>): Settings {
  return { 'Variation seed': variation?.seed, 'Variation seed strength': variation?.strength }
}

function hiresSettings({ hires, sampler, scheduler, prompt, negativePrompt, guidance }: Partial<GenerateRequest>): Settings {
  if (!hires) return {}
  return {
    'Denoising strength': hires.strength,
    'Hires upscale': hires.scale,
    'Hires resize': hires.width === undefined && hires.height === undefined ? undefined : `${hires.width ?? 0}x${hires.height ?? 0}`,
    'Hires steps': hires.steps,
    'Hires upscaler': hires.upscaler && upscalerLabel(hires.upscaler),
    'Hires sampler': hires.sampler === undefined || hires.sampler === sampler ? undefined : samplerLabel(hires.sampler),
    'Hires schedule type': hires.scheduler === undefined || hires.scheduler === scheduler ? undefined : schedulerLabel(hires.scheduler),
    'Hires CFG Scale': unless(guidance as number, hires.guidance),
    'Hires prompt': unless(promptValue(prompt), promptValue(hires.prompt)),
    'Hires prompt parts': unless(partsValue(prompt), partsValue(hires.prompt)),
    'Hires negative prompt': unless(promptValue(negativePrompt), promptValue(hires.negativePrompt)),
    'Hires negative prompt parts': unless(partsValue(negativePrompt), partsValue(hires.negativePrompt)),
  }
}

function refinerSettings({ refine, refiner }: Partial<GenerateRequest> & { refiner?: string }): Settings {
  if (!refine) return {}
  return {
    Refiner: refiner === undefined ? undefined : basename(refiner).replace(/\.(safetensors|sft)$/i, ''),
    'Refiner switch at': refine.switchAt,
    'Refiner switch by sampling steps': refine.by === 'steps' ? 'True' : undefined,
    'Aesthetic score': unless(6, refine.aestheticScore),
    'Negative aesthetic score': unless(2.5, refine.negativeAestheticScore),
  }
}

function tilingSetting({ tiling }: Partial<GenerateRequest>): Settings {
  const { x, y } = typeof tiling === 'object' ? tiling : { x: tiling, y: tiling }
  return { Tiling: x && y ? 'True' : x ? 'x' : y ? 'y' : undefined }
}

const sampled = (value: string, draft: Draft, part: 'sampler' | 'scheduler') => {
  const found = part === 'sampler' ? readSampling(value, undefined) : readSampling(undefined, value)
  return put(draft.hires, part, found[part])
}

export const taskReaders: Readonly<Record<string, Reader>> = {
  'Sampling style': (value, { request }) => put(request, 'style', named(...samplingStyles)(value)),
  'CFG schedule': (value, { request }) => put(request, 'guidance', numbers(value)),
  'CFG interval': (value, { request }) => {
    const pair = numbers(value)
    return put(request, 'guidanceInterval', pair?.length === 2 ? (pair as [number, number]) : undefined)
  },
  'CFG projection': (value, { request }) => put(request, 'guidanceProjection', plainObject(value)),
  'CFG rescale': (value, { request }) => put(request, 'guidanceRescale', number(value)),
  Eta: (value, { samplerOptions }) => put(samplerOptions, 'eta', number(value)),
  'Eta DDIM': (value, { samplerOptions }) => put(samplerOptions, 'eta', number(value)),
  'Sigma noise': (value, { samplerOptions }) => put(samplerOptions, 'sNoise', number(value)),
  'Sampler options': (value, { samplerOptions }) => {
    const found = plainObject(value)
    return found !== undefined && Object.assign(samplerOptions, found) !== undefined
  },
  'Schedule min sigma': (value, { request }) => put(request, 'sigmaMin', number(value)),
  'Schedule max sigma': (value, { request }) => put(request, 'sigmaMax', number(value)),
  'Schedule rho': (value, { request }) => put(request, 'rho', number(value)),
  Sigmas: (value, { request }) => put(request, 'sigmas', numbers(value)),
  Timesteps: (value, { request }) => put(request, 'timesteps', numbers(value)),
  'Noise Schedule': (value, { request }) => put(request, 'zeroTerminalSnr', oneOf({ default: false, 'zero terminal snr': true })(value)),
  'SGM noise multiplier': (value, { request }) => put(request, 'sgmNoiseMultiplier', boolean(value)),
  // It is the image's or the second pass's; `finishTasks` knows.
  'Denoising strength': (value, { request }) => put(request, 'strength', number(value)),
  'Resize mode': (value, { request }) => put(request, 'resizeMode', oneOf(invert(resizeModes))(value) as Mode | undefined),
  'Step arithmetic': (value, { request }) => put(request, 'stepArithmetic', named('a1111', 'diffusers', 'comfy')(value)),
  'Inpaint mode': (value, { inpaint }) => put(inpaint, 'mode', named('a1111', 'comfy', 'diffusers')(value)),
  'Mask blur': (value, { inpaint }) => put(inpaint, 'blur', number(value)),
  'Masked content': (value, { inpaint }) => put(inpaint, 'fill', oneOf(invert(fills))(value) as Fill | undefined),
  'Mask mode': (value, { inpaint }) => put(inpaint, 'invert', oneOf({ 'inpaint masked': false, 'inpaint not masked': true })(value)),
  'Inpaint area': (value, { inpaint }) => put(inpaint, 'onlyMasked', oneOf({ 'whole picture': false, 'only masked': true })(value)),
  'Masked area padding': (value, { inpaint }) => {
    const padding = integer(value)
    if (padding === undefined) return false
    return inpaint.onlyMasked === false || put(inpaint, 'onlyMasked', { padding })
  },
  'Mask source': (value, { inpaint }) => put(inpaint, 'useAlpha', oneOf({ alpha: true })(value)),
  'Mask paste': (value, { inpaint }) => put(inpaint, 'paste', boolean(value)),
  Outpaint: (value, { outpaint }) => {
    const found = plainObject(value)
    return found !== undefined && Object.assign(outpaint, found) !== undefined
  },
  'Variation seed': (value, { variation }) => put(variation, 'seed', integer(value)),
  'Variation seed strength': (value, { variation }) => put(variation, 'strength', number(value)),
  'Hires upscale': (value, { hires }) => put(hires, 'scale', number(value)),
  'Hires resize': (value, { hires }) => {
    const [height, width] = heightWidth(value, integer) ?? []
    // A1111's 0 is a side that follows from the other.
    return (
      height !== undefined &&
      width !== undefined &&
      [put(hires, 'width', width || undefined), put(hires, 'height', height || undefined)].includes(true)
    )
  },
  'Hires steps': (value, { hires }) => put(hires, 'steps', integer(value)),
  'Hires upscaler': (value, { hires }) => put(hires, 'upscaler', value.toLowerCase() as 'latent'),
  'Hires sampler': (value, draft) => sampled(value, draft, 'sampler'),
  'Hires schedule type': (value, draft) => sampled(value, draft, 'scheduler'),
  'Hires CFG Scale': (value, { hires }) => put(hires, 'guidance', number(value)),
  'Hires prompt': (value, { hires }) => put(hires, 'prompt', value),
  'Hires prompt parts': (value, { hires }) => put(hires, 'prompt', promptParts(value)),
  'Hires negative prompt': (value, { hires }) => put(hires, 'negativePrompt', value),
  'Hires negative prompt parts': (value, { hires }) => put(hires, 'negativePrompt', promptParts(value)),
  'Refiner switch at': (value, { refine }) => put(refine, 'switchAt', number(value)),
  'Refiner switch by sampling steps': (value, { refine }) =>
    put(refine, 'by', oneOf({ true: 'steps', false: 'timesteps' } as const)(value)),
  'Aesthetic score': (value, { refine }) => put(refine, 'aestheticScore', number(value)),
  'Negative aesthetic score': (value, { refine }) => put(refine, 'negativeAestheticScore', number(value)),
  Tiling: (value, { request }) =>
    put(
      request,
      'tiling',
      oneOf<boolean | { x?: boolean; y?: boolean }>({ true: true, false: false, x: { x: true }, y: { y: true } })(value),
    ),
}

/** Settles what one key cannot say alone. @returns whether the picture was made from an image, which no text holds */
export function finishTasks({ request, hires, variation }: Draft): boolean {
  const second = Object.keys(hires).length > 0
  if (second && request.strength !== undefined) {
    hires.strength = request.strength
    delete request.strength
  }
  // A1111 says them where they are the usual values too.
  if (variation.strength === 0 || variation.seed === undefined || variation.strength === undefined) {
    delete variation.seed
    delete variation.strength
  }
  return request.strength !== undefined
}
