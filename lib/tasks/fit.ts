import { emptyRaster, extendEdges, paste, type Raster, resize } from '../image/index.js'
import type { ResizeMode } from './types.js'

/** A picture or mask at another size, with A1111's arithmetic for those of another shape. Lanczos, as A1111 and Diffusers do it. */
export async function fit(raster: Raster, width: number, height: number, mode: ResizeMode): Promise<Raster> {
  if (raster.width === width && raster.height === height) return raster
  if (mode === 'stretch') return resize(raster, width, height)
  const wider = width * raster.height > raster.width * height // than the picture
  const spanWidth = wider === (mode === 'crop')
  const inner = {
    width: spanWidth ? width : Math.max(Math.floor((raster.width * height) / raster.height), 1),
    height: spanWidth ? Math.max(Math.floor((raster.height * width) / raster.width), 1) : height,
  }
  const left = Math.floor(width / 2) - Math.floor(inner.width / 2)
  const top = Math.floor(height / 2) - Math.floor(inner.height / 2)
  const result = emptyRaster(width, height, raster.channels)
  await paste(result, await resize(raster, inner.width, inner.height), left, top)
  if (mode === 'fill') await extendEdges(result, { left, top, ...inner })
  return result
}
