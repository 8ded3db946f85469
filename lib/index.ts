export { listDevices } from './devices.js'
export { type ErrorCode, SdxlError } from './errors.js'
export { generate } from './generate.js'
export type { Image, ImageInput } from './image/index.js'
export { type Infotext, parseInfotext, readInfotext, readParameters } from './infotext/index.js'
export { convertModel } from './model/convert.js'
export { inspectModel } from './model/inspect.js'
export { loadModel } from './model/model.js'
export { tinyModel } from './model/tiny-model.js'
export { verifyModel } from './model/verify.js'
export type {
  ChunkReport,
  Diagnostic,
  ExplainOptions,
  LoraTag,
  ParsedPrompt,
  Piece,
  PromptEntry,
  PromptOptions,
  PromptPart,
  PromptReport,
  SubPrompt,
} from './prompt/index.js'
export { convertPrompt, explainPrompt, parsePrompt, tokenize } from './prompt/index.js'
export type {
  Denoised,
  FewStepDefaults,
  FewStepKind,
  IntegerOption,
  Interval,
  MakePlan,
  ModelCall,
  OptionSpec,
  PlanBuilder,
  PlanExtras,
  PlanStep,
  ResolvedSampler,
  SamplerHabits,
  Sampling,
  SamplingChoice,
  SamplingPlan,
  SamplingStyle,
  Term,
  Write,
} from './sampling/index.js'
export {
  defineSampler,
  fewStepDefaults,
  fewStepKind,
  integer,
  planner,
  resolveSampler,
  resolveScheduler,
  runPlan,
  samplerAliases,
  samplerHabits,
  samplerNames,
  samplerOptions,
  samplingFor,
  samplingPlan,
  scheduleNames,
  schedulerAliases,
  sigmas,
  sigmaToTimestep,
  timestepsToSigmas,
  timestepToSigma,
  validatePlan,
} from './sampling/index.js'
export type { TaskRequest } from './tasks/check.js'
export type {
  HiresOptions,
  HiresUpscaler,
  InpaintOptions,
  OutpaintOptions,
  PreviewOptions,
  RefineOptions,
  ResizeMode,
  StepArithmetic,
  VariationOptions,
} from './tasks/types.js'
export type * from './types.js'
