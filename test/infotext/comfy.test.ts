import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { writePng } from '../../lib/image/png-write.js'
import { readInfotext, readParameters } from '../../lib/index.js'
import { parseComfyWorkflow } from '../../lib/infotext/comfy.js'

/** The graph of ComfyUI's default workflow, as its PNG files hold it, with a LoRA and a clip skip put in. */
const graph = {
  '3': {
    class_type: 'KSampler',
    inputs: {
      seed: 156680208700286,
      steps: 20,
      cfg: 8,
      sampler_name: 'dpmpp_2m_sde_gpu',
      scheduler: 'karras',
      denoise: 1,
      model: ['10', 0],
      positive: ['6', 0],
      negative: ['7', 0],
      latent_image: ['5', 0],
    },
  },
  '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sd_xl_base_1.0.safetensors' } },
  '5': { class_type: 'EmptyLatentImage', inputs: { width: 832, height: 1216, batch_size: 1 } },
  '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a (bottle:1.2)', clip: ['11', 0] } },
  '7': { class_type: 'CLIPTextEncode', inputs: { text: 'watermark', clip: ['11', 0] } },
  '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
  '9': { class_type: 'SaveImage', inputs: { filename_prefix: 'ComfyUI', images: ['8', 0] } },
  '10': {
    class_type: 'LoraLoader',
    inputs: { lora_name: 'style.safetensors', strength_model: 0.8, strength_clip: 0.5, model: ['4', 0], clip: ['4', 1] },
  },
  '11': { class_type: 'CLIPSetLastLayer', inputs: { stop_at_clip_layer: -3, clip: ['10', 1] } },
}
const wanted = {
  prompt: 'a (bottle:1.2)',
  negativePrompt: 'watermark',
  seed: 156680208700286,
  steps: 20,
  guidance: 8,
  sampler: 'dpmpp_2m_sde',
  scheduler: 'karras',
  width: 832,
  height: 1216,
  loras: [{ path: 'style.safetensors', unet: 0.8, textEncoder: 0.5 }],
  prompting: { syntax: 'comfy', emphasis: 'comfy', zeroEmptyNegative: false, clipSkip: 2 },
  style: 'comfy',
  rng: 'torch-cpu',
}
const read = (changes: object) => parseComfyWorkflow(JSON.stringify({ ...graph, ...changes }))!

describe('a workflow of ComfyUI', () => {
  it('is read from the PNG that carries it', async () => {
    const png = await writePng(1, 1, new Uint8Array(3), { prompt: JSON.stringify(graph), workflow: '{}' })
    expect(await readParameters(png)).toEqual(wanted)
    const found = (await readInfotext(png))!
    expect(found.fields).toMatchObject({ model: 'sd_xl_base_1.0.safetensors', cfg: '8', sampler_name: 'dpmpp_2m_sde_gpu' })
    expect(found.warnings.map(({ code }) => code)).toEqual(['W_INFOTEXT_LORA'])
  })

  it('counts less than settings in A1111’s form', async () => {
    const png = await writePng(1, 1, new Uint8Array(3), { prompt: JSON.stringify(graph), parameters: 'a cat' })
    expect((await readParameters(png))!.prompt).toBe('a cat')
  })

  it('with a text node, one for each encoder, and sizes', () => {
    const found = read({
      '6': {
        class_type: 'CLIPTextEncodeSDXL',
        inputs: {
          text_g: 'grand',
          text_l: ['12', 0],
          width: 4096,
          height: 2048,
          crop_w: 8,
          crop_h: 0,
          target_width: 832,
          target_height: 1216,
          clip: ['4', 1],
        },
      },
      '12': { class_type: 'PrimitiveString', inputs: { value: 'little' } },
    })
    expect(found.request).toMatchObject({
      prompt: 'little',
      prompting: { prompt2: 'grand' },
      size: { original: [2048, 4096], crop: [0, 8], target: [1216, 832] },
    })
  })

  it('that begins with an image says that it is missing', () => {
    const found = read({
      '3': { ...graph['3'], inputs: { ...graph['3'].inputs, denoise: 0.6 } },
      '5': { class_type: 'VAEEncode', inputs: { pixels: ['13', 0], vae: ['4', 2] } },
      '13': { class_type: 'LoadImage', inputs: { image: 'a.png' } },
    })
    expect(found.request).toMatchObject({ strength: 0.6, style: 'comfy' })
    expect(found.request.width).toBeUndefined()
    expect(found.warnings.map(({ code }) => code)).toContain('W_INFOTEXT_IMAGE')
  })

  it('with names that are not known keeps them, for generate to reject', () => {
    const found = read({ '3': { ...graph['3'], inputs: { ...graph['3'].inputs, sampler_name: 'frob', scheduler: 'wavy' } } })
    expect(found.request).toMatchObject({ sampler: 'frob', scheduler: 'wavy' })
    expect(found.warnings.filter(({ code }) => code === 'W_INFOTEXT_NAME')).toHaveLength(2)
  })

  it('of two samplers or a batch is read in part, and says so', () => {
    const second = { class_type: 'KSampler', inputs: { ...graph['3'].inputs, seed: 7, denoise: 0.5, latent_image: ['3', 0] } }
    const chained = read({ '20': second, '8': { class_type: 'VAEDecode', inputs: { samples: ['20', 0] } } })
    expect(chained.request.seed).toBe(7)
    expect(chained.warnings.map(({ message }) => message).join()).toMatch(/another sampler, node 3/)
    const batch = read({ '5': { class_type: 'EmptyLatentImage', inputs: { width: 8, height: 8, batch_size: 3 } } })
    expect(batch.warnings.map(({ message }) => message).join()).toMatch(/batch_size: 3/)
  })

  it('of any shape is read or not, but never thrown at', () => {
    const link = fc.tuple(fc.constantFrom(...Object.keys(graph), '99'), fc.nat(2))
    const value = fc.oneof(link, fc.string(), fc.double(), fc.constant(null), fc.constant({}))
    const inputs = fc.dictionary(
      fc.constantFrom(
        'model',
        'positive',
        'negative',
        'latent_image',
        'text',
        'text_g',
        'samples',
        'images',
        'clip',
        'seed',
        'width',
        'height',
      ),
      value,
    )
    const type = fc.constantFrom('KSampler', 'KSamplerAdvanced', 'SaveImage', 'VAEDecode', 'CLIPTextEncode', 'LoraLoader', 'Reroute', '')
    const node = fc.record({ class_type: type, inputs })
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(graph)), fc.oneof(node, fc.jsonValue())), (nodes) => {
        const found = parseComfyWorkflow(JSON.stringify(nodes))
        if (found) expect(typeof found.request.prompt).toBe('string')
      }),
      { numRuns: 500 },
    )
  })

  it('that runs in a circle, or is no workflow, does no harm', () => {
    const circle = read({
      '10': { class_type: 'LoraLoader', inputs: { model: ['10', 0] } },
      '6': { class_type: 'Reroute', inputs: { conditioning: ['6', 0] } },
    })
    expect(circle.warnings.map(({ message }) => message).join()).toMatch(/positive: its text cannot be read/)
    for (const text of [
      '',
      'null',
      '[]',
      '{}',
      '{"1":null}',
      '{"1":{"class_type":"KSampler"}}',
      'a cat',
      '{"1":{"class_type":3,"inputs":[]}}',
    ])
      expect(parseComfyWorkflow(text)).toBeUndefined()
  })
})
