import { invalid } from '../check.js'
import { encodedFile, Image, isPng, readPngText } from '../image/index.js'
import { type Infotext, parseInfotext } from './parse.js'
import { isJpeg, isWebp, readUserComment } from './user-comment.js'

/**
 * How a picture was made, as its file says: the text `parameters` of a PNG, the EXIF comment of a JPEG or WebP. Pixels are not decoded.
 *
 * @param image an Image, the bytes of a picture file, a path or a data: URI
 * @returns     undefined where the picture carries no such text
 * @throws      (rejects) SdxlError ERR_INVALID_ARGUMENT for a file that cannot be read, is damaged or has another format
 */
export async function readInfotext(image: Image | Uint8Array | string): Promise<Infotext | undefined> {
  const text = image instanceof Image ? image.parameters : await readText(await encodedFile(image, 'image'))
  return text === undefined ? undefined : parseInfotext(text)
}

async function readText(bytes: Uint8Array): Promise<string | undefined> {
  if (isPng(bytes)) {
    const { parameters } = await readPngText(bytes)
    return parameters
  }
  if (isJpeg(bytes) || isWebp(bytes)) return readUserComment(bytes, 'image')
  throw invalid('image', 'a PNG, JPEG or WebP file', bytes)
}
