// From Diffusers names to the names and layouts of a single file in the original (SGM and open_clip) convention.
import { elements } from './tensors.mjs'

/**
 * A run of values inside a file tensor.
 *
 * @typedef {object} Part
 * @property {import('./tensors.mjs').TensorSpec} source
 * @property {boolean} transposed the file holds the [out, in] source as [in, out]
 *
 * A tensor of a file: the concatenation of its parts, or (when `parts` is empty) the given bytes.
 *
 * @typedef {object} FileTensor
 * @property {string} name
 * @property {number[]} shape
 * @property {Part[]} parts
 * @property {{ dtype: 'I64' | 'F32', data: Uint8Array }} [constant]
 *
 * @typedef {import('./tensors.mjs').TensorSpec} TensorSpec
 * @typedef {import('./specs.mjs').Spec} Spec
 */

/** @type {(pairs: Record<string, string>, stem: string) => string} */
function lookUp(pairs, stem) {
  const found = pairs[stem]
  if (found === undefined) throw new Error(`No single-file name is known for the module "${stem}".`)
  return found
}

/** @type {(name: string) => [stem: string, leaf: string]} */
function splitLeaf(name) {
  const dot = name.lastIndexOf('.')
  return [name.slice(0, dot), name.slice(dot + 1)]
}

const UNET_STEMS = {
  conv_in: 'input_blocks.0.0',
  'time_embedding.linear_1': 'time_embed.0',
  'time_embedding.linear_2': 'time_embed.2',
  'add_embedding.linear_1': 'label_emb.0.0',
  'add_embedding.linear_2': 'label_emb.0.2',
  conv_norm_out: 'out.0',
  conv_out: 'out.2',
}

const UNET_RESNET_STEMS = {
  norm1: 'in_layers.0',
  conv1: 'in_layers.2',
  time_emb_proj: 'emb_layers.1',
  norm2: 'out_layers.0',
  conv2: 'out_layers.3',
  conv_shortcut: 'skip_connection',
}

/**
 * The original code numbers the blocks of all levels through: input block 0 is conv_in, every level is its residual blocks and then,
 * except on the last, a down-sampling block. On the way up the up-sampling belongs to the last residual block of its level.
 *
 * @param {Spec} spec
 * @param {string} name
 */
function unetName(spec, name) {
  const stride = spec.unet.layers_per_block + 1
  const [stem, leaf] = splitLeaf(name)
  const match = /^(?:(down|up)_blocks\.(\d+)|mid_block)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$/.exec(stem)
  if (!match) return `${lookUp(UNET_STEMS, stem)}.${leaf}`
  const [, way, level, kind, number, module] = match
  const inner = kind === 'resnets' ? lookUp(UNET_RESNET_STEMS, module) : module
  if (way === undefined) return `middle_block.${kind === 'attentions' ? 1 : 2 * Number(number)}.${inner}.${leaf}`
  const first = Number(level) * stride + (way === 'down' ? 1 : 0)
  const blocks = way === 'down' ? 'input_blocks' : 'output_blocks'
  if (kind === 'downsamplers') return `${blocks}.${first + stride - 1}.0.op.${leaf}`
  if (kind === 'upsamplers') {
    const upward = spec.unet.transformer_depth_up ?? [...spec.unet.transformer_depth].reverse()
    return `${blocks}.${first + stride - 1}.${upward[Number(level)] === 0 ? 1 : 2}.conv.${leaf}`
  }
  return `${blocks}.${first + Number(number)}.${kind === 'attentions' ? 1 : 0}.${inner}.${leaf}`
}

const VAE_ATTENTION_STEMS = { group_norm: 'norm', to_q: 'q', to_k: 'k', to_v: 'v', 'to_out.0': 'proj_out' }

/** @param {Spec} spec @param {string} name */
function vaeName(spec, name) {
  const [stem, leaf] = splitLeaf(name)
  const block = /^(encoder|decoder)\.(down|up)_blocks\.(\d+)\.(resnets|downsamplers|upsamplers)\.(\d+)\.(.+)$/.exec(stem)
  if (block) {
    const [, half, way, level, kind, number, module] = block
    const numbered = way === 'down' ? Number(level) : spec.vae.channels.length - 1 - Number(level) // the decoder counts backwards
    const inner = module.replace('conv_shortcut', 'nin_shortcut')
    return kind === 'resnets'
      ? `${half}.${way}.${numbered}.block.${number}.${inner}.${leaf}`
      : `${half}.${way}.${numbered}.${way}sample.${inner}.${leaf}`
  }
  const middle = /^(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d+)\.(.+)$/.exec(stem)
  if (middle) {
    const [, half, kind, number, module] = middle
    return kind === 'resnets'
      ? `${half}.mid.block_${Number(number) + 1}.${module}.${leaf}`
      : `${half}.mid.attn_1.${lookUp(VAE_ATTENTION_STEMS, module)}.${leaf}`
  }
  return `${stem.replace('conv_norm_out', 'norm_out')}.${leaf}`
}

const OPEN_CLIP_NAMES = {
  'text_model.embeddings.token_embedding.weight': 'token_embedding.weight',
  'text_model.embeddings.position_embedding.weight': 'positional_embedding',
  'text_model.final_layer_norm.weight': 'ln_final.weight',
  'text_model.final_layer_norm.bias': 'ln_final.bias',
  'text_projection.weight': 'text_projection',
}

const OPEN_CLIP_STEMS = {
  layer_norm1: 'ln_1',
  layer_norm2: 'ln_2',
  'self_attn.out_proj': 'attn.out_proj',
  'mlp.fc1': 'mlp.c_fc',
  'mlp.fc2': 'mlp.c_proj',
}

/**
 * open_clip fuses query, key and value and holds the final projection as [in, out].
 *
 * @param {TensorSpec[]} tensors
 * @returns {FileTensor[]}
 */
function openClipTensors(tensors) {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]))
  /** @type {FileTensor[]} */
  const files = []
  for (const source of tensors) {
    const layer = /^text_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(source.name)
    if (!layer) {
      const transposed = source.name === 'text_projection.weight'
      const shape = transposed ? [...source.shape].reverse() : source.shape
      files.push({ name: lookUp(OPEN_CLIP_NAMES, source.name), shape, parts: [{ source, transposed }] })
      continue
    }
    const [, number, module, leaf] = layer
    const prefix = `transformer.resblocks.${number}`
    if (/self_attn\.[kv]_proj/.test(module)) continue // travels with the query
    if (module === 'self_attn.q_proj') {
      const parts = ['q_proj', 'k_proj', 'v_proj'].map((projection) => {
        const part = byName.get(source.name.replace('q_proj', projection))
        if (!part) throw new Error(`"${source.name}" has no ${projection} beside it.`)
        return { source: part, transposed: false }
      })
      files.push({ name: `${prefix}.attn.in_proj_${leaf}`, shape: [3 * source.shape[0], ...source.shape.slice(1)], parts })
      continue
    }
    files.push({
      name: `${prefix}.${lookUp(OPEN_CLIP_STEMS, module)}.${leaf}`,
      shape: source.shape,
      parts: [{ source, transposed: false }],
    })
  }
  return files
}

/** What real files carry beside the weights. @param {Spec} spec @returns {FileTensor[]} */
function markers(spec) {
  const positions = new BigInt64Array(77).map((_, i) => BigInt(i))
  const logitScale = new Float32Array([4.6052]) // ln 100, where CLIP clamps it; inference never reads it
  /** @type {FileTensor[]} */
  const found = [
    {
      name: `${openClipPrefix(spec)}logit_scale`,
      shape: [],
      parts: [],
      constant: { dtype: 'F32', data: new Uint8Array(logitScale.buffer) },
    },
  ]
  if (spec.text_encoder) {
    const name = 'conditioner.embedders.0.transformer.text_model.embeddings.position_ids'
    found.push({ name, shape: [1, 77], parts: [], constant: { dtype: 'I64', data: new Uint8Array(positions.buffer) } })
  }
  if (spec.prediction === 'v') found.push({ name: 'v_pred', shape: [0], parts: [], constant: { dtype: 'F32', data: new Uint8Array(0) } })
  return found
}

/** The refiner has the second encoder only, and numbers it 0. @param {Spec} spec */
const openClipPrefix = (spec) => `conditioner.embedders.${spec.text_encoder ? 1 : 0}.model.`

/**
 * The tensors of a single file.
 *
 * @param {Spec} spec
 * @param {ReturnType<typeof import('./tensors.mjs').checkpointTensors>} tensors
 * @returns {FileTensor[]}
 */
export function singleFileTensors(spec, tensors) {
  /** @type {(source: TensorSpec, name: string, shape?: number[]) => FileTensor} */
  const plain = (source, name, shape = source.shape) => ({ name, shape, parts: [{ source, transposed: false }] })
  const files = [
    ...tensors.unet.map((source) => plain(source, `model.diffusion_model.${unetName(spec, source.name)}`)),
    ...tensors.text_encoder.map((source) => plain(source, `conditioner.embedders.0.transformer.${source.name}`)),
    ...openClipTensors(tensors.text_encoder_2).map((file) => ({ ...file, name: openClipPrefix(spec) + file.name })),
    ...tensors.vae.map((source) => {
      const convolution = /attentions\.0\.to_.*weight$/.test(source.name) // 1 × 1 convolutions in the original code
      return plain(source, `first_stage_model.${vaeName(spec, source.name)}`, convolution ? [...source.shape, 1, 1] : source.shape)
    }),
    ...markers(spec),
  ]
  const names = new Set(files.map((file) => file.name))
  if (names.size !== files.length) throw new Error('Two tensors got the same single-file name.')
  return files
}

/**
 * The tensors of one component's folder in the Diffusers layout.
 *
 * @param {TensorSpec[]} tensors
 * @returns {FileTensor[]}
 */
export const diffusersTensors = (tensors) =>
  tensors.map((source) => ({ name: source.name, shape: source.shape, parts: [{ source, transposed: false }] }))

/** @param {FileTensor} tensor */
export const fileElements = (tensor) => elements(tensor.shape)
