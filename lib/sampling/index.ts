export { type FewStepDefaults, fewStepDefaults, fewStepKind, type FewStepKind } from './few-step.js'
export {
  chooseScheduler,
  type SamplerHabits,
  samplerHabits,
  type Sampling,
  type SamplingChoice,
  samplingFor,
  type SamplingStyle,
  samplingStyles,
} from './habits.js'
export type { SamplerName, SchedulerName } from './name-types.js'
export {
  findSamplerName,
  findSchedulerName,
  type ResolvedSampler,
  resolveSampler,
  resolveScheduler,
  samplerAliases,
  samplerLabel,
  schedulerAliases,
  schedulerLabel,
  splitScheduler,
} from './names.js'
export { NoiseTable, noiseTable, sigmaToTimestep, timestepToSigma } from './noise-table.js'
export type { MakePlan, ModelCall, PlanStep, SamplingPlan, Term, Write } from './plan.js'
export { type Interval, PlanBuilder, planner } from './plan-builder.js'
export { type Denoised, type PlanExtras, runPlan } from './run-plan.js'
export { integer, type IntegerOption, type OptionSpec, type OptionValues } from './sampler-options.js'
export { defineSampler, samplerNames, samplerOptions } from './samplers/index.js'
export { type SamplingOptions, samplingPlan } from './sampling-plan.js'
export { scheduleNames } from './schedules/index.js'
export { type SigmasOptions, sigmas, timestepsToSigmas } from './sigmas.js'
export { validatePlan } from './validate-plan.js'
