import { readFileSync } from 'node:fs'
import { packageFile } from '../../bindings/package-root.js'
import { SdxlError } from '../errors.js'

/** A table that ships in lib/prompt/data. */
export function readDataFile(name: string): Buffer {
  const path = packageFile('lib', 'prompt', 'data', name)
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new SdxlError('ERR_INTERNAL', `Cannot read ${path}, a file of node-sdxl itself; reinstall the package`, { path }, { cause })
  }
}
