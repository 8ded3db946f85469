// The workflow that ComfyUI writes into its pictures, as far as it is one that a request can say.
import type { Diagnostic } from '../prompt/index.js'
import { findSamplerName, findSchedulerName } from '../sampling/index.js'
import type { GenerateRequest, LoraSpec } from '../types.js'
import { emptyDraft, finishDraft, put } from './draft.js'
import type { Infotext } from './parse.js'

interface Node {
  readonly id: string
  readonly type: string
  readonly inputs: Readonly<Record<string, unknown>>
}

/** Nodes that hand on what comes in by one of these inputs. */
const handedOn = ['images', 'image', 'samples', 'latent', 'model', 'clip', 'conditioning', 'positive', 'value', 'text', 'string', 'any']
const farthest = 100 // nodes in a row, in case they run in a circle

class Workflow {
  readonly nodes: readonly Node[]
  readonly warnings: Diagnostic[] = []

  constructor(graph: object) {
    this.nodes = Object.entries(graph).flatMap(([id, node]: [string, Record<string, unknown> | null]) => {
      const { class_type: type, inputs } = node ?? {}
      return typeof type === 'string' && typeof inputs === 'object' && inputs !== null ? [{ id, type, inputs: { ...inputs } }] : []
    })
  }

  warn(code: string, message: string): void {
    this.warnings.push({ code: `W_INFOTEXT_${code}`, message })
  }

  /** The node that an input comes from. */
  source(node: Node | undefined, input: string): Node | undefined {
    const link = node?.inputs[input]
    return Array.isArray(link) ? this.nodes.find(({ id }) => id === String(link[0])) : undefined
  }

  /** The first node that fits, upstream of an input, through nodes that hand on. */
  upstream(node: Node | undefined, input: string, fits: (node: Node) => boolean): Node | undefined {
    let found = this.source(node, input)
    for (let i = 0; found && i < farthest; ++i) {
      if (fits(found)) return found
      const next: Node = found
      const from = handedOn.find((name) => Array.isArray(next.inputs[name]))
      found = from === undefined ? undefined : this.source(next, from)
    }
    return undefined
  }

  /** All nodes upstream of an input along one kind of input, nearest first. */
  chain(node: Node | undefined, input: string): Node[] {
    const found: Node[] = []
    for (let next = this.source(node, input); next && found.length < farthest; next = this.source(next, input)) found.push(next)
    return found
  }

  /** An input's own value, or that of the node it comes from. */
  value<T>(node: Node | undefined, input: string, fits: (value: unknown) => value is T): T | undefined {
    const own = node?.inputs[input]
    if (fits(own)) return own
    const source = this.upstream(node, input, ({ inputs }) => Object.values(inputs).some(fits))
    return source && Object.values(source.inputs).find(fits)
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const isSampler = ({ type }: Node) => type === 'KSampler' || type === 'KSamplerAdvanced'

/**
 * Reads the text `prompt` of a PNG of ComfyUI: the sampler that the saved picture comes from, its prompts, size, LoRAs and model.
 *
 * @returns undefined for text that is no such workflow
 */
export function parseComfyWorkflow(text: string): Infotext | undefined {
  const flow = readGraph(text)
  const sampler = flow && findSampler(flow)
  if (!flow || !sampler) return undefined
  const number = (input: string) => flow.value(sampler, input, isNumber)
  const name = (input: string) => flow.value(sampler, input, isText)

  const draft = emptyDraft(readText(flow, sampler, 'positive'), readText(flow, sampler, 'negative'))
  const { request, prompting } = draft
  put(request, 'seed', number('seed') ?? number('noise_seed'))
  put(request, 'steps', number('steps'))
  put(request, 'guidance', number('cfg'))
  readNames(flow, request, name('sampler_name'), name('scheduler'))
  readLatents(flow, sampler, request, number('denoise'))
  const loras = readLoras(flow, sampler)
  if (loras.length > 0) request.loras = loras
  Object.assign(prompting, { syntax: 'comfy', emphasis: 'comfy', zeroEmptyNegative: false })
  readSecondText(flow, sampler, draft)
  const layer = flow.chain(flow.upstream(sampler, 'positive', hasText), 'clip').find(({ type }) => type === 'CLIPSetLastLayer')
  const stop = flow.value(layer, 'stop_at_clip_layer', isNumber)
  if (stop !== undefined && stop <= -2) put(prompting, 'clipSkip', -1 - stop)
  request.style = 'comfy'
  request.rng = 'torch-cpu'
  if (sampler.type === 'KSamplerAdvanced' && (number('start_at_step') ?? 0) > 0) {
    flow.warn('FIELD', 'start_at_step: a sampler that goes on where another one stopped has no counterpart here and is left out.')
  }

  const loader = flow.chain(sampler, 'model').find(({ inputs }) => isText(inputs.ckpt_name) || isText(inputs.unet_name))
  const model = loader && Object.values(loader.inputs).find(isText)
  finishDraft(draft)
  return {
    prompt: draft.request.prompt as string,
    negativePrompt: draft.request.negativePrompt as string,
    fields: Object.fromEntries(
      [...Object.entries(sampler.inputs), ['model', model]].flatMap(([key, value]) =>
        isText(value) || isNumber(value) ? [[key, String(value)]] : [],
      ),
    ),
    request,
    warnings: flow.warnings,
  }
}

function readGraph(text: string): Workflow | undefined {
  try {
    const graph: unknown = JSON.parse(text)
    return typeof graph === 'object' && graph !== null ? new Workflow(graph) : undefined
  } catch {
    return undefined
  }
}

/** The one that the saved picture comes from, else the last of the workflow. */
function findSampler(flow: Workflow): Node | undefined {
  const outputs = flow.nodes.filter(({ type }) => /^(SaveImage|PreviewImage)/.test(type))
  const found = [...new Set(outputs.flatMap((node) => flow.upstream(node, 'images', isSampler) ?? []))]
  const sampler = found[0] ?? flow.nodes.filter(isSampler).at(-1)
  if (found.length > 1) flow.warn('FIELD', `the workflow saves pictures of ${found.length} samplers; only the first is read.`)
  const before = sampler && flow.upstream(sampler, 'latent_image', isSampler)
  if (before) flow.warn('FIELD', `the sampler's picture comes from another sampler, node ${before.id}, which is left out.`)
  return sampler
}

const hasText = ({ inputs }: Node) => 'text' in inputs || 'text_g' in inputs

function readText(flow: Workflow, sampler: Node, input: 'positive' | 'negative'): string {
  const encoder = flow.upstream(sampler, input, hasText)
  const text =
    encoder && (flow.value(encoder, 'text', isText) ?? flow.value(encoder, 'text_l', isText) ?? flow.value(encoder, 'text_g', isText))
  if (text === undefined) flow.warn('FIELD', `${input}: its text cannot be read from the workflow.`)
  return text ?? ''
}

/** CLIPTextEncodeSDXL has a text for each encoder, and sizes, width first. */
function readSecondText(flow: Workflow, sampler: Node, { prompting, size }: ReturnType<typeof emptyDraft>): void {
  const encoder = flow.upstream(sampler, 'positive', hasText)
  if (!encoder || !('text_g' in encoder.inputs)) return
  const [first, second] = [flow.value(encoder, 'text_l', isText), flow.value(encoder, 'text_g', isText)]
  if (second !== undefined && second !== first) prompting.prompt2 = second
  const pair = (height: string, width: string): [number, number] | undefined => {
    const found = [flow.value(encoder, height, isNumber), flow.value(encoder, width, isNumber)]
    return found.every(isNumber) ? (found as [number, number]) : undefined
  }
  put(size, 'original', pair('height', 'width'))
  put(size, 'crop', pair('crop_h', 'crop_w'))
  put(size, 'target', pair('target_height', 'target_width'))
}

function readNames(flow: Workflow, request: GenerateRequest, sampler: string | undefined, scheduler: string | undefined): void {
  const found = sampler === undefined ? undefined : findSamplerName(sampler)
  if (sampler !== undefined && !found) flow.warn('NAME', `sampler_name: "${sampler}" is no sampler of this version; generate rejects it.`)
  put(request, 'sampler', found?.sampler ?? sampler)
  const schedule = scheduler === undefined ? undefined : findSchedulerName(scheduler)
  if (scheduler !== undefined && !schedule)
    flow.warn('NAME', `scheduler: "${scheduler}" is no scheduler of this version; generate rejects it.`)
  put(request, 'scheduler', schedule ?? scheduler)
}

function readLatents(flow: Workflow, sampler: Node, request: GenerateRequest, denoise: number | undefined): void {
  const empty = flow.upstream(sampler, 'latent_image', ({ inputs }) => 'width' in inputs && 'height' in inputs)
  const encoded = flow.upstream(sampler, 'latent_image', ({ type }) => type.startsWith('VAEEncode'))
  if (encoded || (denoise !== undefined && denoise < 1)) {
    put(request, 'strength', denoise)
    flow.warn('IMAGE', 'the picture was made from an image; give it as `image`.')
  }
  if (encoded || !empty) return
  put(request, 'width', flow.value(empty, 'width', isNumber))
  put(request, 'height', flow.value(empty, 'height', isNumber))
  const batch = flow.value(empty, 'batch_size', isNumber) ?? 1
  if (batch > 1) flow.warn('FIELD', `batch_size: ${batch} pictures share one generator there; the request draws the first.`)
}

/** Nearest to the model last there, first here. */
function readLoras(flow: Workflow, sampler: Node): LoraSpec[] {
  const loras = flow.chain(sampler, 'model').flatMap((node): LoraSpec[] => {
    const path = node.inputs.lora_name
    if (!isText(path)) return []
    const unet = flow.value(node, 'strength_model', isNumber) ?? 1
    return [{ path, unet, textEncoder: flow.value(node, 'strength_clip', isNumber) ?? unet }]
  })
  if (loras.length > 0) flow.warn('LORA', 'loras: their paths are those within ComfyUI’s folder of LoRAs.')
  return loras.reverse()
}
