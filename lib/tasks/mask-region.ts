import { paced, type Raster, type Region } from '../image/index.js'

/** The smallest rectangle with all of a mask that is not 0, and `padding` around it within the picture; undefined for an empty mask. */
export async function maskedRegion({ width, height, data }: Raster, padding: number): Promise<Region | undefined> {
  let [left, top, right, bottom] = [width, height, 0, 0]
  await paced(height, (y) => {
    for (let x = 0; x < width; ++x) {
      if (data[y * width + x] === 0) continue
      left = Math.min(left, x)
      right = Math.max(right, x + 1)
      top = Math.min(top, y)
      bottom = y + 1
    }
  })
  if (right === 0) return undefined
  left = Math.max(left - padding, 0)
  top = Math.max(top - padding, 0)
  return { left, top, width: Math.min(right + padding, width) - left, height: Math.min(bottom + padding, height) - top }
}

/**
 * The region grown to the shape of what it will be drawn at, as far as the picture goes: around its middle, else moved inwards. A1111's
 * arithmetic.
 */
export function expandRegion(region: Region, drawn: { width: number; height: number }, picture: { width: number; height: number }): Region {
  const { left, top, width, height } = region
  if (width * drawn.height > drawn.width * height) {
    const [start, length] = grown(top, height, Math.trunc((width * drawn.height) / drawn.width - height), picture.height)
    return { left, width, top: start, height: length }
  }
  const [start, length] = grown(left, width, Math.trunc((height * drawn.width) / drawn.height - width), picture.width)
  return { left: start, width: length, top, height }
}

function grown(start: number, length: number, more: number, limit: number): [start: number, length: number] {
  const wanted = length + more
  const from = Math.max(Math.min(start - Math.floor(more / 2), limit - wanted), 0)
  return [from, Math.min(wanted, limit - from)]
}
