import { packageFile } from '../../bindings/package-root.js'

/** Path of the demonstration model inside the package: a small SDXL that draws simple shapes, 128 × 128 pixels. */
export const tinyModel: string = packageFile('models', 'tiny-shapes.safetensors')
