import type { NativeModelInfo } from '../../bindings/addon.js'
import type { PromptReport } from '../prompt/index.js'
import type { CheckedTask } from '../tasks/check.js'
import type { CheckedRequest } from './generate-options.js'
import { type CheckedSampling, usualNoise } from './sampling-options.js'

/** Everything needed to repeat the pictures, as data that `generate` takes: plain data, but for images and noise, which stay as they were given. */
export function describe(
  request: CheckedRequest,
  task: CheckedTask | undefined,
  { info, refiner }: { info: NativeModelInfo; refiner: string },
  prompt: PromptReport,
  negativePrompt: PromptReport | undefined,
): Record<string, unknown> {
  const { noise, sizes, sampling, hires, refine, tiling, preview: _, variation, ...rest } = request
  const [originalHeight, originalWidth, top, left, targetHeight, targetWidth] = sizes
  const shape = [request.count, info.latentChannels, request.height / info.scale, request.width / info.scale]
  return {
    model: info.path,
    ...rest,
    ...describeSampling(sampling),
    size: { original: [originalHeight, originalWidth], crop: [top, left], target: [targetHeight, targetWidth] },
    ...(variation ? { variation } : {}),
    ...(task ? describeTask(task) : {}),
    ...(hires ? { hires: describeHires(hires) } : {}),
    ...(refine ? { refine } : info.hasRefiner ? { refine: false } : {}),
    ...(tiling.x || tiling.y ? { tiling } : {}),
    ...(noise ? { noise: { shape, data: noise } } : {}),
    tokens: { prompt: chunkSummary(prompt), ...(negativePrompt ? { negativePrompt: chunkSummary(negativePrompt) } : {}) },
    precision: info.precision, // said always: what 'auto' is differs from machine to machine
    ...(refiner ? { refiner } : {}),
  }
}

/** Without what is at its default and new to most readers. */
function describeSampling(sampling: CheckedSampling): Record<string, unknown> {
  const { style, samplerOptions, zeroTerminalSnr, sgmNoiseMultiplier, guidanceInterval, guidanceRescale, ...rest } = sampling
  const [start, end] = guidanceInterval
  return {
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    ...(Object.keys(samplerOptions).length > 0 ? { samplerOptions } : {}),
    ...(zeroTerminalSnr ? { zeroTerminalSnr } : {}),
    ...(style === 'a1111' ? {} : { style }),
    ...(sgmNoiseMultiplier === usualNoise(style, rest.sampler, rest.scheduler) ? {} : { sgmNoiseMultiplier }),
    ...(start > 0 || end < 1 ? { guidanceInterval } : {}),
    ...(guidanceRescale > 0 ? { guidanceRescale } : {}),
  }
}

function describeTask({ mask, inpaint, outpaint, ...task }: CheckedTask): Record<string, unknown> {
  if (mask === undefined && !inpaint.useAlpha && !outpaint) return { ...task }
  return { ...task, ...(mask === undefined ? {} : { mask }), inpaint, ...(outpaint ? { outpaint } : {}) }
}

function describeHires(hires: NonNullable<CheckedRequest['hires']>): Record<string, unknown> {
  const { scale, width, height, upscaler, strength, steps, sampling, prompt, negativePrompt } = hires
  const { sampler, scheduler, guidance } = sampling
  return {
    ...(scale === undefined ? { width, height } : { scale }),
    upscaler,
    strength,
    steps,
    sampler,
    ...(scheduler === undefined ? {} : { scheduler }),
    guidance,
    prompt,
    negativePrompt,
  }
}

function chunkSummary({ tokens, limit, chunks, layout }: PromptReport) {
  return { tokens, limit, chunks, layout: layout.map(({ used, closedBy }) => ({ used, closedBy })) }
}
