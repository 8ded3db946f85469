// The tensors of each part under their Diffusers/transformers names, with their shapes.
import { contextWidth, transformerDepths } from './specs.mjs'

/**
 * @typedef {object} TensorSpec
 * @property {'unet' | 'text_encoder' | 'text_encoder_2' | 'vae'} component
 * @property {string} name Diffusers or transformers name inside the component
 * @property {number[]} shape
 *
 * @typedef {import('./specs.mjs').Spec} Spec
 * @typedef {import('./specs.mjs').TextEncoderSpec} TextEncoderSpec
 */

const POSITIONS = 77
const TIME_FEATURES = 256 // sinusoid features per size number

/** Collects tensors under nested prefixes. */
class Collector {
  /** @param {TensorSpec['component']} component */
  constructor(component) {
    this.component = component
    /** @type {TensorSpec[]} */
    this.tensors = []
  }

  /** @type {(name: string, ...shape: number[]) => void} */
  add(name, ...shape) {
    this.tensors.push({ component: this.component, name, shape })
  }

  /** @type {(name: string, channels: number) => void} */
  norm(name, channels) {
    this.add(`${name}.weight`, channels)
    this.add(`${name}.bias`, channels)
  }

  /** @type {(name: string, inputs: number, outputs: number, options?: { bias: boolean }) => void} */
  linear(name, inputs, outputs, { bias } = { bias: true }) {
    this.add(`${name}.weight`, outputs, inputs)
    if (bias) this.add(`${name}.bias`, outputs)
  }

  /** @type {(name: string, inputs: number, outputs: number, kernel: number) => void} */
  conv(name, inputs, outputs, kernel) {
    this.add(`${name}.weight`, outputs, inputs, kernel, kernel)
    this.add(`${name}.bias`, outputs)
  }

  /** @type {(name: string, inputs: number, outputs: number, timeFeatures?: number) => void} */
  resnet(name, inputs, outputs, timeFeatures) {
    this.norm(`${name}.norm1`, inputs)
    this.conv(`${name}.conv1`, inputs, outputs, 3)
    if (timeFeatures) this.linear(`${name}.time_emb_proj`, timeFeatures, outputs)
    this.norm(`${name}.norm2`, outputs)
    this.conv(`${name}.conv2`, outputs, outputs, 3)
    if (inputs !== outputs) this.conv(`${name}.conv_shortcut`, inputs, outputs, 1)
  }

  /** @type {(name: string, channels: number, depth: number, context: number) => void} */
  transformer(name, channels, depth, context) {
    this.norm(`${name}.norm`, channels)
    this.linear(`${name}.proj_in`, channels, channels)
    for (let block = 0; block < depth; block++) {
      const prefix = `${name}.transformer_blocks.${block}`
      for (const [attention, keys] of /** @type {const} */ ([
        ['attn1', channels],
        ['attn2', context],
      ])) {
        this.norm(`${prefix}.norm${attention === 'attn1' ? 1 : 2}`, channels)
        this.linear(`${prefix}.${attention}.to_q`, channels, channels, { bias: false })
        this.linear(`${prefix}.${attention}.to_k`, keys, channels, { bias: false })
        this.linear(`${prefix}.${attention}.to_v`, keys, channels, { bias: false })
        this.linear(`${prefix}.${attention}.to_out.0`, channels, channels)
      }
      this.norm(`${prefix}.norm3`, channels)
      this.linear(`${prefix}.ff.net.0.proj`, channels, 8 * channels) // value and gate of the GEGLU
      this.linear(`${prefix}.ff.net.2`, 4 * channels, channels)
    }
    this.linear(`${name}.proj_out`, channels, channels)
  }
}

/** @param {Spec} spec */
function unetTensors(spec) {
  const { channels, layers_per_block: layers, in_channels, out_channels, mid_depth, size_numbers } = spec.unet
  const depths = transformerDepths(spec.unet)
  const context = contextWidth(spec)
  const time = 4 * channels[0]
  const last = channels.length - 1
  const t = new Collector('unet')

  t.conv('conv_in', in_channels, channels[0], 3)
  t.linear('time_embedding.linear_1', channels[0], time)
  t.linear('time_embedding.linear_2', time, time)
  t.linear('add_embedding.linear_1', size_numbers * TIME_FEATURES + spec.text_encoder_2.projection, time)
  t.linear('add_embedding.linear_2', time, time)

  channels.forEach((width, level) => {
    const prefix = `down_blocks.${level}`
    for (let layer = 0; layer < layers; layer++) {
      t.resnet(`${prefix}.resnets.${layer}`, layer > 0 ? width : channels[Math.max(level - 1, 0)], width, time)
      const depth = depths.down[level][layer]
      if (depth > 0) t.transformer(`${prefix}.attentions.${layer}`, width, depth, context)
    }
    if (level < last) t.conv(`${prefix}.downsamplers.0.conv`, width, width, 3)
  })

  t.resnet('mid_block.resnets.0', channels[last], channels[last], time)
  if (mid_depth !== null) {
    t.transformer('mid_block.attentions.0', channels[last], mid_depth, context)
    t.resnet('mid_block.resnets.1', channels[last], channels[last], time)
  }

  for (let block = 0; block <= last; block++) {
    const prefix = `up_blocks.${block}`
    const width = channels[last - block]
    for (let layer = 0; layer <= layers; layer++) {
      const below = layer > 0 ? width : channels[Math.min(last - block + 1, last)]
      const skip = layer < layers ? width : channels[Math.max(last - block - 1, 0)]
      t.resnet(`${prefix}.resnets.${layer}`, below + skip, width, time)
      const depth = depths.up[block][layer]
      if (depth > 0) t.transformer(`${prefix}.attentions.${layer}`, width, depth, context)
    }
    if (block < last) t.conv(`${prefix}.upsamplers.0.conv`, width, width, 3)
  }

  t.norm('conv_norm_out', channels[0])
  t.conv('conv_out', channels[0], out_channels, 3)
  return t.tensors
}

/** @type {(component: 'text_encoder' | 'text_encoder_2', encoder: TextEncoderSpec, vocabulary: number) => TensorSpec[]} */
function textEncoderTensors(component, { width, layers, mlp }, vocabulary) {
  const t = new Collector(component)
  t.add('text_model.embeddings.token_embedding.weight', vocabulary, width)
  t.add('text_model.embeddings.position_embedding.weight', POSITIONS, width)
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `text_model.encoder.layers.${layer}`
    t.norm(`${prefix}.layer_norm1`, width)
    for (const projection of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) t.linear(`${prefix}.self_attn.${projection}`, width, width)
    t.norm(`${prefix}.layer_norm2`, width)
    t.linear(`${prefix}.mlp.fc1`, width, mlp)
    t.linear(`${prefix}.mlp.fc2`, mlp, width)
  }
  t.norm('text_model.final_layer_norm', width)
  return t.tensors
}

/** @param {Spec} spec */
function textEncoder2Tensors(spec) {
  const { width, projection } = spec.text_encoder_2
  const t = new Collector('text_encoder_2')
  t.linear('text_projection', width, projection, { bias: false })
  return [...textEncoderTensors('text_encoder_2', spec.text_encoder_2, spec.vocabulary), ...t.tensors]
}

/** @type {(t: Collector, half: 'encoder' | 'decoder', channels: number) => void} */
function vaeMiddle(t, half, channels) {
  const prefix = `${half}.mid_block`
  t.resnet(`${prefix}.resnets.0`, channels, channels)
  t.norm(`${prefix}.attentions.0.group_norm`, channels)
  for (const projection of ['to_q', 'to_k', 'to_v', 'to_out.0']) t.linear(`${prefix}.attentions.0.${projection}`, channels, channels)
  t.resnet(`${prefix}.resnets.1`, channels, channels)
}

/** @param {Spec} spec */
function vaeTensors(spec) {
  const { channels, latent_channels: latent, layers_per_block: layers } = spec.vae
  const last = channels.length - 1
  const t = new Collector('vae')

  t.conv('encoder.conv_in', 3, channels[0], 3)
  channels.forEach((width, level) => {
    const prefix = `encoder.down_blocks.${level}`
    for (let layer = 0; layer < layers; layer++) {
      t.resnet(`${prefix}.resnets.${layer}`, layer > 0 ? width : channels[Math.max(level - 1, 0)], width)
    }
    if (level < last) t.conv(`${prefix}.downsamplers.0.conv`, width, width, 3)
  })
  vaeMiddle(t, 'encoder', channels[last])
  t.norm('encoder.conv_norm_out', channels[last])
  t.conv('encoder.conv_out', channels[last], 2 * latent, 3) // mean and log-variance
  t.conv('quant_conv', 2 * latent, 2 * latent, 1)

  t.conv('post_quant_conv', latent, latent, 1)
  t.conv('decoder.conv_in', latent, channels[last], 3)
  vaeMiddle(t, 'decoder', channels[last])
  for (let block = 0; block <= last; block++) {
    const prefix = `decoder.up_blocks.${block}`
    const width = channels[last - block]
    for (let layer = 0; layer <= layers; layer++) {
      t.resnet(`${prefix}.resnets.${layer}`, layer > 0 ? width : channels[Math.min(last - block + 1, last)], width)
    }
    if (block < last) t.conv(`${prefix}.upsamplers.0.conv`, width, width, 3)
  }
  t.norm('decoder.conv_norm_out', channels[0])
  t.conv('decoder.conv_out', channels[0], 3, 3)
  return t.tensors
}

/**
 * All tensors of a checkpoint, part by part.
 *
 * @param {Spec} spec
 * @returns {{ unet: TensorSpec[], text_encoder: TensorSpec[], text_encoder_2: TensorSpec[], vae: TensorSpec[] }}
 */
export function checkpointTensors(spec) {
  return {
    unet: unetTensors(spec),
    text_encoder: spec.text_encoder ? textEncoderTensors('text_encoder', spec.text_encoder, spec.vocabulary) : [],
    text_encoder_2: textEncoder2Tensors(spec),
    vae: vaeTensors(spec),
  }
}

/**
 * Number of elements of a shape.
 *
 * @param {readonly number[]} shape
 */
export const elements = (shape) => shape.reduce((product, dimension) => product * dimension, 1)
