// The JSON files of a checkpoint folder, with the fields Diffusers and transformers need to build the same architecture.
import { contextWidth, transformerDepths } from './specs.mjs'

/** @typedef {import('./specs.mjs').Spec} Spec */

const HEAD_WIDTH = 64

/** @param {Spec} spec */
function unetConfig(spec) {
  const { unet } = spec
  const { down, up } = transformerDepths(unet)
  /** @type {(depths: number[]) => boolean} */
  const attends = (depths) => depths.some((depth) => depth > 0)
  const symmetric = unet.transformer_depth_up === undefined
  const depths = symmetric ? down.map((layers) => layers[0]) : down
  // Diffusers gives the middle block the last level's depth; a last level without attention never reads its own entry.
  const last = depths.length - 1
  if (symmetric && unet.mid_depth !== null) {
    if (attends(down[last]) && depths[last] !== unet.mid_depth) {
      throw new Error(`Diffusers cannot express a middle depth of ${unet.mid_depth} beside ${depths[last]} on the last level.`)
    }
    depths[last] = unet.mid_depth
  }
  return {
    _class_name: 'UNet2DConditionModel',
    in_channels: unet.in_channels,
    out_channels: unet.out_channels,
    block_out_channels: unet.channels,
    layers_per_block: unet.layers_per_block,
    down_block_types: down.map((layers) => (attends(layers) ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    mid_block_type: unet.mid_depth === null ? 'UNetMidBlock2D' : 'UNetMidBlock2DCrossAttn',
    up_block_types: up.map((layers) => (attends(layers) ? 'CrossAttnUpBlock2D' : 'UpBlock2D')),
    transformer_layers_per_block: depths,
    ...(symmetric ? {} : { reverse_transformer_layers_per_block: up }),
    attention_head_dim: unet.channels.map((width) => Math.max(1, width / HEAD_WIDTH)), // the number of heads, despite its name
    cross_attention_dim: contextWidth(spec),
    addition_embed_type: 'text_time',
    addition_time_embed_dim: 256,
    projection_class_embeddings_input_dim: unet.size_numbers * 256 + spec.text_encoder_2.projection,
    use_linear_projection: true,
    norm_num_groups: 32,
    sample_size: 128,
  }
}

/** @type {(spec: Spec, which: 'text_encoder' | 'text_encoder_2') => object} */
function textEncoderConfig(spec, which) {
  const encoder = spec[which]
  if (!encoder) throw new Error(`The spec "${spec.name}" has no ${which}.`)
  const second = which === 'text_encoder_2'
  return {
    architectures: [second ? 'CLIPTextModelWithProjection' : 'CLIPTextModel'],
    model_type: 'clip_text_model',
    vocab_size: spec.vocabulary,
    max_position_embeddings: 77,
    hidden_size: encoder.width,
    intermediate_size: encoder.mlp,
    num_hidden_layers: encoder.layers,
    num_attention_heads: encoder.width / HEAD_WIDTH,
    hidden_act: second ? 'gelu' : 'quick_gelu',
    projection_dim: second ? spec.text_encoder_2.projection : encoder.width,
    layer_norm_eps: 1e-5,
    bos_token_id: 49406,
    eos_token_id: 49407,
    pad_token_id: second ? 0 : 49407,
  }
}

/** @param {Spec} spec */
function vaeConfig({ vae }) {
  return {
    _class_name: 'AutoencoderKL',
    in_channels: 3,
    out_channels: 3,
    latent_channels: vae.latent_channels,
    block_out_channels: vae.channels,
    layers_per_block: vae.layers_per_block,
    down_block_types: vae.channels.map(() => 'DownEncoderBlock2D'),
    up_block_types: vae.channels.map(() => 'UpDecoderBlock2D'),
    norm_num_groups: 32,
    sample_size: 1024,
    scaling_factor: 0.13025,
    force_upcast: true,
  }
}

/** @param {Spec} spec */
const schedulerConfig = (spec) => ({
  _class_name: 'EulerDiscreteScheduler',
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  num_train_timesteps: 1000,
  prediction_type: spec.prediction === 'v' ? 'v_prediction' : 'epsilon',
  timestep_spacing: 'leading',
  steps_offset: 1,
})

/** @param {Spec} spec */
function modelIndex(spec) {
  const refiner = spec.text_encoder === null
  return {
    _class_name: refiner ? 'StableDiffusionXLImg2ImgPipeline' : 'StableDiffusionXLPipeline',
    force_zeros_for_empty_prompt: !refiner,
    ...(refiner ? { requires_aesthetics_score: true } : {}),
    scheduler: ['diffusers', 'EulerDiscreteScheduler'],
    text_encoder: refiner ? [null, null] : ['transformers', 'CLIPTextModel'],
    text_encoder_2: ['transformers', 'CLIPTextModelWithProjection'],
    tokenizer: [null, null],
    tokenizer_2: [null, null],
    unet: ['diffusers', 'UNet2DConditionModel'],
    vae: ['diffusers', 'AutoencoderKL'],
  }
}

/**
 * File name inside the folder → content.
 *
 * @param {Spec} spec
 * @returns {Record<string, object>}
 */
export const diffusersConfigs = (spec) => ({
  'model_index.json': modelIndex(spec),
  'scheduler/scheduler_config.json': schedulerConfig(spec),
  'unet/config.json': unetConfig(spec),
  ...(spec.text_encoder ? { 'text_encoder/config.json': textEncoderConfig(spec, 'text_encoder') } : {}),
  'text_encoder_2/config.json': textEncoderConfig(spec, 'text_encoder_2'),
  'vae/config.json': vaeConfig(spec),
})
