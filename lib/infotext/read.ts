import { invalid } from '../check.js'
import { encodedFile, Image, isPng, readPngText } from '../image/index.js'
import type { GenerateRequest } from '../types.js'
import { parseComfyWorkflow } from './comfy.js'
import { type Infotext, parseInfotext } from './parse.js'
import { isJpeg, isWebp, readUserComment } from './user-comment.js'

/**
 * How a picture was made, as its file says: the text `parameters` of a PNG, the EXIF comment of a JPEG or WebP, or the workflow that ComfyUI
 * writes into a PNG, as far as a request can say it. Pixels are not decoded.
 *
 * @param image an Image, the bytes of a picture file, a path or a data: URI
 * @returns     undefined where the picture carries no such text
 * @throws      (rejects) SdxlError ERR_INVALID_ARGUMENT for a file that cannot be read, is damaged or has another format
 */
export async function readInfotext(image: Image | Uint8Array | string): Promise<Infotext | undefined> {
  if (image instanceof Image) return image.parameters === undefined ? undefined : parseInfotext(image.parameters)
  const bytes = await encodedFile(image, 'image')
  if (isPng(bytes)) {
    const { parameters, prompt } = await readPngText(bytes)
    if (parameters !== undefined) return parseInfotext(parameters)
    return prompt === undefined ? undefined : parseComfyWorkflow(prompt)
  }
  if (!isJpeg(bytes) && !isWebp(bytes)) throw invalid('image', 'a PNG, JPEG or WebP file', bytes)
  const text = readUserComment(bytes, 'image')
  return text === undefined ? undefined : parseInfotext(text)
}

/**
 * A request that repeats a picture, as its file says. The model is not part of it, nor an image that it was made from; what else is missing
 * stands in the warnings of `readInfotext`.
 *
 * @param image an Image, the bytes of a picture file, a path or a data: URI
 * @returns     undefined where the picture carries no settings
 * @throws      (rejects) SdxlError ERR_INVALID_ARGUMENT for a file that cannot be read, is damaged or has another format
 */
export async function readParameters(image: Image | Uint8Array | string): Promise<GenerateRequest | undefined> {
  return (await readInfotext(image))?.request
}
