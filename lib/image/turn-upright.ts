import { Pacer } from './pacer.js'
import type { Raster } from './raster.js'

/** Turns and mirrors a picture as EXIF's orientation says: 3 by 180°, 6 clockwise, 8 counter-clockwise, 2, 4, 5 and 7 mirrored too. */
export async function turnUpright(raster: Raster, orientation: number): Promise<Raster> {
  if (orientation === 1) return raster
  const { width, height, channels, data } = raster
  const swapped = orientation >= 5
  const fromRight = [2, 3, 7, 8].includes(orientation)
  const fromBottom = [3, 4, 6, 7].includes(orientation)
  const result = new Uint8Array(data.length)
  const [outWidth, outHeight] = swapped ? [height, width] : [width, height]
  const pacer = new Pacer()
  for (let y = 0, to = 0; y < outHeight; ++y) {
    if (pacer.due()) await pacer.rest()
    for (let x = 0; x < outWidth; ++x) {
      const [column, row] = swapped ? [y, x] : [x, y]
      const from = ((fromBottom ? height - 1 - row : row) * width + (fromRight ? width - 1 - column : column)) * channels
      for (let c = 0; c < channels; ++c) result[to++] = data[from + c]!
    }
  }
  return { width: outWidth, height: outHeight, channels, data: result }
}
