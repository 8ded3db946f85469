import { randomBytes } from 'node:crypto'
import { rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { SdxlError } from '../errors.js'

/** Throws unless the folder that `path` lies in exists. Folders are not created: a slip in a path would go unnoticed. */
export async function checkFolder(path: string): Promise<void> {
  const folder = dirname(resolve(path))
  const found = await stat(folder).catch(() => undefined)
  if (found?.isDirectory()) return
  throw new SdxlError(
    'ERR_INVALID_ARGUMENT',
    `Cannot write ${path}: the folder ${folder} ${found ? 'is a file' : 'does not exist; create it first'}`,
    {
      path,
      folder,
    },
  )
}

/** Writes under a temporary name in the same folder, then renames: nobody ever sees half a file under `path`. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(resolve(path)), `.${randomBytes(8).toString('hex')}.tmp`)
  try {
    await writeFile(temporary, bytes, { flag: 'wx' })
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined)
    const { code = '', message } = cause as NodeJS.ErrnoException
    const usersToFix = ['EACCES', 'EPERM', 'EROFS', 'EISDIR', 'ENOTDIR', 'ENOENT', 'ENAMETOOLONG', 'EEXIST'].includes(code)
    throw new SdxlError(
      usersToFix ? 'ERR_INVALID_ARGUMENT' : 'ERR_INTERNAL',
      `Cannot write ${path}: ${message}`,
      { path, errno: code },
      { cause },
    )
  }
}
