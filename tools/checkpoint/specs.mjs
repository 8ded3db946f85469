// The named architectures. In the tiny ones all dimensions that could be confused differ, so that no swapped axis passes a test.

/**
 * @typedef {object} UnetSpec
 * @property {number} in_channels 4, or 9 for inpainting (latents, mask, masked latents)
 * @property {number} out_channels
 * @property {number[]} channels width per level, multiples of 32, and of 64 where there are transformers
 * @property {number} layers_per_block residual blocks per level on the way down; one more on the way up
 * @property {(number | number[])[]} transformer_depth per level, or per level and residual block; 0 = no attention on that level
 * @property {(number | number[])[]} [transformer_depth_up] the way up, widest level last, as it runs; default: `transformer_depth` reversed
 * @property {number | null} mid_depth transformer depth in the middle; null = the middle is a single residual block (SSD-1B, Vega)
 * @property {number} size_numbers numbers of the size conditioning: 6, or 5 for the refiner
 *
 * @typedef {object} TextEncoderSpec
 * @property {number} width multiple of 64
 * @property {number} layers
 * @property {number} mlp
 *
 * @typedef {object} VaeSpec
 * @property {number[]} channels
 * @property {number} latent_channels
 * @property {number} layers_per_block
 *
 * @typedef {object} Spec
 * @property {string} name
 * @property {UnetSpec} unet
 * @property {TextEncoderSpec | null} text_encoder CLIP-L; null for the refiner
 * @property {TextEncoderSpec & { projection: number }} text_encoder_2 OpenCLIP-G
 * @property {VaeSpec} vae
 * @property {number} vocabulary
 * @property {'epsilon' | 'v'} prediction 'v' adds the marker tensor `v_pred` (single file) or the scheduler's field (Diffusers)
 * @property {number} [period] a tensor's values repeat after so many elements: makes a full-size file cheap to compute. A prime, so
 *   that the rows of a matrix still differ. Absent: no repetition.
 */

/** @type {Spec} */
const full = {
  name: 'full',
  unet: {
    in_channels: 4,
    out_channels: 4,
    channels: [320, 640, 1280],
    layers_per_block: 2,
    transformer_depth: [0, 2, 10],
    mid_depth: 10,
    size_numbers: 6,
  },
  text_encoder: { width: 768, layers: 12, mlp: 3072 },
  text_encoder_2: { width: 1280, layers: 32, mlp: 5120, projection: 1280 },
  vae: { channels: [128, 256, 512, 512], latent_channels: 4, layers_per_block: 2 },
  vocabulary: 49408,
  prediction: 'epsilon',
  period: 262139,
}

/** SDXL's three levels; every width, depth and projection is another number. @type {Spec} */
const tinyA = {
  name: 'tiny-a',
  unet: {
    in_channels: 4,
    out_channels: 4,
    channels: [32, 64, 192],
    layers_per_block: 2,
    transformer_depth: [0, 1, 2],
    mid_depth: 2,
    size_numbers: 6,
  },
  text_encoder: { width: 64, layers: 3, mlp: 192 },
  text_encoder_2: { width: 128, layers: 4, mlp: 320, projection: 96 },
  vae: { channels: [32, 64, 96, 128], latent_channels: 4, layers_per_block: 1 },
  vocabulary: 49408,
  prediction: 'epsilon',
}

/** Two levels, one layer each; the first encoder is the wider one; a VAE of three levels, so one latent is 4 × 4 pixels. @type {Spec} */
const tinyB = {
  name: 'tiny-b',
  unet: {
    in_channels: 4,
    out_channels: 4,
    channels: [64, 128],
    layers_per_block: 1,
    transformer_depth: [1, 2],
    mid_depth: 2,
    size_numbers: 6,
  },
  text_encoder: { width: 192, layers: 2, mlp: 320 },
  text_encoder_2: { width: 64, layers: 3, mlp: 448, projection: 64 },
  vae: { channels: [64, 32, 96], latent_channels: 4, layers_per_block: 2 },
  vocabulary: 49408,
  prediction: 'epsilon',
}

/** As little as there can be of each part, for kernels in an emulator. @type {Spec} */
const smallest = {
  ...tinyA,
  name: 'smallest',
  unet: { ...tinyA.unet, channels: [32, 64], layers_per_block: 1, transformer_depth: [0, 1], mid_depth: 1 },
  text_encoder: { width: 64, layers: 2, mlp: 96 },
  text_encoder_2: { width: 64, layers: 2, mlp: 128, projection: 64 },
  vae: { channels: [32, 32, 32, 64], latent_channels: 4, layers_per_block: 1 },
}

/** Depths that differ per residual block and on the way up, and a middle without attention: the manner of SSD-1B and Vega. @type {Spec} */
const tinyPruned = {
  ...tinyA,
  name: 'tiny-pruned',
  unet: {
    ...tinyA.unet,
    channels: [32, 64, 128],
    transformer_depth: [0, [2, 1], [1, 3]],
    transformer_depth_up: [[3, 1, 2], [2, 1, 1], 0],
    mid_depth: null,
  },
}

/** Four levels with the attention on the inner two, one text encoder, five size numbers: the manner of the SDXL refiner. @type {Spec} */
const tinyRefiner = {
  ...tinyA,
  name: 'tiny-refiner',
  unet: { ...tinyA.unet, channels: [32, 64, 128, 192], transformer_depth: [0, 1, 2, 0], mid_depth: 1, size_numbers: 5 },
  text_encoder: null,
}

/** @type {Readonly<Record<string, Spec>>} */
export const specs = {
  full,
  'tiny-a': tinyA,
  'tiny-b': tinyB,
  'tiny-v': { ...tinyA, name: 'tiny-v', prediction: 'v' },
  'tiny-inpaint': { ...tinyB, name: 'tiny-inpaint', unet: { ...tinyB.unet, in_channels: 9 } },
  'tiny-pruned': tinyPruned,
  'tiny-refiner': tinyRefiner,
  smallest,
}

/**
 * Width of the text states that the UNet's cross-attention reads.
 *
 * @param {Spec} spec
 */
export const contextWidth = (spec) => (spec.text_encoder?.width ?? 0) + spec.text_encoder_2.width

/**
 * Transformer depths in the order the UNet runs: `down[level][layer]`, `up[block][layer]` with one layer more per block.
 *
 * @param {UnetSpec} unet
 * @returns {{ down: number[][], up: number[][] }}
 */
export function transformerDepths(unet) {
  /** @type {(depth: number | number[], layers: number) => number[]} */
  const perLayer = (depth, layers) => (typeof depth === 'number' ? Array.from({ length: layers }, () => depth) : depth)
  const upward = unet.transformer_depth_up ?? [...unet.transformer_depth].reverse()
  return {
    down: unet.transformer_depth.map((depth) => perLayer(depth, unet.layers_per_block)),
    up: upward.map((depth) => perLayer(depth, unet.layers_per_block + 1)),
  }
}
