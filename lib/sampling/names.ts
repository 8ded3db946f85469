// Names that samplers and schedulers have in A1111, ComfyUI, Diffusers and k-diffusion, and this library's names for them.
import { invalid } from '../check.js'
import { SdxlError } from '../errors.js'
import { samplerNames } from './samplers/index.js'
import { scheduleNames } from './schedules/index.js'

/** What a name stands for. */
export interface ResolvedSampler {
  readonly sampler: string
  /** Where the name says it, as in "DPM++ 2M Karras". */
  readonly scheduler?: string
  /** What the name means besides, as in "UniPCMultistepScheduler". */
  readonly options?: Readonly<Record<string, number | string>>
}

/** How a name is compared: "DPM++ 2M SDE", "dpm++-2m-sde" and "dpmpp_2m_sde" are the same. */
const plain = (name: string): string =>
  name
    .trim()
    .toLowerCase()
    .replaceAll('++', 'pp')
    .replace(/[\s-]+/g, '_')

/** The labels that A1111 and Forge write. */
const samplerLabels: Readonly<Record<string, string>> = {
  euler: 'Euler',
  euler_a: 'Euler a',
  heun: 'Heun',
  heunpp2: 'HeunPP2',
  dpm2: 'DPM2',
  dpm2_a: 'DPM2 a',
  lms: 'LMS',
  dpmpp_2s_a: 'DPM++ 2S a',
  dpmpp_2m: 'DPM++ 2M',
  dpmpp_sde: 'DPM++ SDE',
  dpmpp_2m_sde: 'DPM++ 2M SDE',
  dpmpp_2m_sde_heun: 'DPM++ 2M SDE Heun',
  dpmpp_3m_sde: 'DPM++ 3M SDE',
  ddim: 'DDIM',
  ddpm: 'DDPM',
  plms: 'PLMS',
  uni_pc: 'UniPC',
  lcm: 'LCM',
  tcd: 'TCD',
  restart: 'Restart',
  dpm_fast: 'DPM fast',
  ipndm: 'IPNDM',
  ipndm_v: 'IPNDM_V',
  deis: 'DEIS',
  euler_cfg_pp: 'Euler CFG++',
  euler_a_cfg_pp: 'Euler a CFG++',
}

const schedulerLabels: Readonly<Record<string, string>> = {
  // "Uniform" is the same levels, and older: 1.9 knows no "Normal".
  normal: 'Uniform',
  karras: 'Karras',
  exponential: 'Exponential',
  polyexponential: 'Polyexponential',
  sgm_uniform: 'SGM Uniform',
  simple: 'Simple',
  ddim_uniform: 'DDIM',
  beta: 'Beta',
  ays: 'Align Your Steps',
  gits: 'Align Your Steps GITS',
  kl_optimal: 'KL Optimal',
  linear_quadratic: 'Linear Quadratic',
  turbo: 'Turbo',
}

/** Further names of schedulers, in `plain` form. */
export const schedulerAliases: Readonly<Record<string, string>> = {
  uniform: 'normal',
  discrete: 'normal',
  linspace: 'normal',
  sgmuniform: 'sgm_uniform',
  ddim: 'ddim_uniform',
  leading: 'ddim_uniform',
  align_your_steps: 'ays',
  alignyoursteps: 'ays',
  align_your_steps_gits: 'gits',
  sd_turbo: 'turbo',
  ka: 'karras',
  exp: 'exponential',
}

const diffusers = (sampler: string, options?: ResolvedSampler['options'], scheduler = 'ddim_uniform'): ResolvedSampler => ({
  sampler,
  scheduler,
  ...(options && { options }),
})

/**
 * Further names of samplers, in lower case, with "++" as "pp" and "_" between words: ComfyUI's and k-diffusion's, which may have "sample_"
 * or "k_" before them and "_gpu" behind, and the class names of Diffusers with the schedule of SDXL's configuration ("leading").
 */
export const samplerAliases: Readonly<Record<string, ResolvedSampler>> = {
  euler_ancestral: { sampler: 'euler_a' },
  dpm_2: { sampler: 'dpm2' },
  dpm_2_a: { sampler: 'dpm2_a' },
  dpm_2_ancestral: { sampler: 'dpm2_a' },
  dpm2_ancestral: { sampler: 'dpm2_a' },
  heunpp: { sampler: 'heunpp2' },
  dpmpp_2s_ancestral: { sampler: 'dpmpp_2s_a' },
  dpmpp_2s: { sampler: 'dpmpp_2s_a', options: { eta: 0 } },
  unipc: { sampler: 'uni_pc' },
  unipc_bh2: { sampler: 'uni_pc_bh2' },
  euler_cfgpp: { sampler: 'euler_cfg_pp' },
  euler_a_cfgpp: { sampler: 'euler_a_cfg_pp' },
  euler_cfgpp_a: { sampler: 'euler_a_cfg_pp' },
  euler_ancestral_cfg_pp: { sampler: 'euler_a_cfg_pp' },
  euler_ancestral_cfgpp: { sampler: 'euler_a_cfg_pp' },
  euler_cfgpp_ancestral: { sampler: 'euler_a_cfg_pp' },
  dpmpp_2s_ancestral_cfg_pp: { sampler: 'dpmpp_2s_a_cfg_pp' },
  res_multistep_ancestral: { sampler: 'res_multistep_a' },
  res_multistep_ancestral_cfg_pp: { sampler: 'res_multistep_a_cfg_pp' },

  eulerdiscretescheduler: diffusers('euler'),
  eulerancestraldiscretescheduler: diffusers('euler_a'),
  heundiscretescheduler: diffusers('heun'),
  kdpm2discretescheduler: diffusers('dpm2'),
  kdpm2ancestraldiscretescheduler: diffusers('dpm2_a'),
  lmsdiscretescheduler: diffusers('lms'),
  dpmsolvermultistepscheduler: diffusers('dpmpp_2m'),
  dpmsolversinglestepscheduler: diffusers('dpmpp_2s_a', { eta: 0 }),
  dpmsolversdescheduler: diffusers('dpmpp_sde'),
  deismultistepscheduler: diffusers('deis'),
  unipcmultistepscheduler: diffusers('uni_pc', { order: 2, variant: 'bh2' }),
  sasolverscheduler: diffusers('sa_solver'),
  ipndmscheduler: diffusers('ipndm'),
  pndmscheduler: diffusers('plms'),
  ddimscheduler: diffusers('ddim'),
  ddpmscheduler: diffusers('ddpm'),
  lcmscheduler: diffusers('lcm', undefined, 'lcm'),
  tcdscheduler: diffusers('tcd', { eta: 0.3 }, 'lcm'),
}

/** Names that samplers go by elsewhere and that cannot be a plan. */
const impossible: Readonly<Record<string, string>> = {
  dpm_adaptive: 'it chooses its steps while it runs; use "dpmpp_2m" or "dpmpp_sde"',
  dpm_ad: 'it chooses its steps while it runs; use "dpmpp_2m" or "dpmpp_sde"',
}

/**
 * What a sampler's name or alias stands for. A scheduler's name may follow, as in A1111 up to 1.8: "DPM++ 2M Karras".
 *
 * @param config flags of a Diffusers scheduler's configuration: `use_karras_sigmas`, `use_exponential_sigmas`, `use_beta_sigmas`,
 *               `timestep_spacing`, `algorithm_type`, `solver_type`, `solver_order`; others are not looked at
 * @throws       SdxlError ERR_INVALID_ARGUMENT for an unknown name; the message lists names close to it
 */
export function resolveSampler(name: string, config?: Readonly<Record<string, unknown>>): ResolvedSampler {
  if (typeof name !== 'string' || name === '') throw invalid('sampler', 'the name of a sampler', name)
  const found = findSamplerName(name)
  if (found) return config ? withConfig(found, config) : found
  const why = own(impossible, bare(plain(name)))
  if (why) throw new SdxlError('ERR_INVALID_ARGUMENT', `The sampler "${name}" is not supported: ${why}`, { field: 'sampler', found: name })
  throw unknown('sampler', name, [...samplerNames(), ...Object.keys(samplerAliases), ...Object.values(samplerLabels)])
}

/**
 * What a scheduler's name or alias stands for.
 *
 * @throws SdxlError ERR_INVALID_ARGUMENT for an unknown name; the message lists names close to it
 */
export function resolveScheduler(name: string): string {
  if (typeof name !== 'string' || name === '') throw invalid('scheduler', 'the name of a scheduler', name)
  const found = findSchedulerName(name)
  if (found !== undefined) return found
  throw unknown('scheduler', name, [...scheduleNames(), ...Object.values(schedulerLabels)])
}

/** Like resolveSampler, but undefined for an unknown name. */
export function findSamplerName(name: string): ResolvedSampler | undefined {
  // A sampler of one's own comes before an alias of the same spelling.
  if (samplerNames().includes(name)) return { sampler: name }
  const form = plain(name)
  const known = knownSampler(form) ?? knownSampler(bare(form))
  if (known) return known
  const split = splitScheduler(form)
  const sampler = split && (knownSampler(split.rest) ?? knownSampler(bare(split.rest)))
  return sampler && { ...sampler, scheduler: split.scheduler }
}

/** The scheduler that a name ends with, and what is before it: "DPM++ 2M Karras". The longest counts: "SGM Uniform", not "Uniform". */
export function splitScheduler(name: string): { rest: string; scheduler: string } | undefined {
  for (const { index } of name.matchAll(/[\s_-]/g)) {
    const scheduler = findSchedulerName(name.slice(index + 1))
    if (scheduler !== undefined) return { rest: name.slice(0, index), scheduler }
  }
  return undefined
}

/** Like resolveScheduler, but undefined for an unknown name. */
export function findSchedulerName(name: string): string | undefined {
  const form = plain(name)
  return scheduleNames().includes(form) ? form : own(schedulerAliases, form)
}

/** A1111's and Forge's label; names without one stay, those of `defineSampler` among them. */
export const samplerLabel = (name: string): string => own(samplerLabels, name) ?? name
export const schedulerLabel = (name: string): string => own(schedulerLabels, name) ?? name

const own = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined => (Object.hasOwn(table, key) ? table[key] : undefined)

/** Without what k-diffusion and A1111 put before and ComfyUI behind a name. */
const bare = (form: string): string => form.replace(/^(sample|k)_/, '').replace(/_gpu$/, '')

function knownSampler(form: string): ResolvedSampler | undefined {
  return samplerNames().includes(form) ? { sampler: form } : own(samplerAliases, form)
}

function withConfig(found: ResolvedSampler, config: Readonly<Record<string, unknown>>): ResolvedSampler {
  const spacing: Readonly<Record<string, string>> = { leading: 'ddim_uniform', linspace: 'normal', trailing: 'trailing' }
  const flag = ['karras', 'exponential', 'beta'].find((name) => config[`use_${name}_sigmas`] === true)
  const scheduler = flag ?? own(spacing, String(config.timestep_spacing)) ?? found.scheduler
  const options: Record<string, number | string> = { ...found.options }
  let { sampler } = found
  if (sampler === 'dpmpp_2m' && config.algorithm_type === 'sde-dpmsolver++') {
    sampler = 'dpmpp_2m_sde'
    if (config.solver_type === 'heun') options.solverType = 'heun'
  }
  if (sampler === 'uni_pc') {
    if (typeof config.solver_order === 'number') options.order = config.solver_order
    if (config.solver_type === 'bh1' || config.solver_type === 'bh2') options.variant = config.solver_type
  }
  return { sampler, ...(scheduler && { scheduler }), ...(Object.keys(options).length > 0 && { options }) }
}

function unknown(field: string, name: string, candidates: readonly string[]): SdxlError {
  const form = plain(name)
  const close = [...new Set(candidates)]
    .map((candidate) => ({ candidate, distance: distance(form, plain(candidate)) }))
    .filter(({ distance }) => distance <= Math.max(2, form.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 5)
    .map(({ candidate }) => candidate)
  const wanted = close.length > 0 ? `Close to it: ${close.join(', ')}` : `Known are ${candidates.join(', ')}`
  return new SdxlError('ERR_INVALID_ARGUMENT', `There is no ${field} named ${JSON.stringify(name)}. ${wanted}`, {
    field,
    found: name,
    close,
  })
}

/** Letters to insert, remove or replace to make `b` from `a`. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; ++i) {
    const next = [i]
    for (let j = 1; j <= b.length; ++j) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
