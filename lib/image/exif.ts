// EXIF data: a tree of TIFF directories. What is read of them here is little: which side is up, and the comment.

export const tags = { orientation: 0x0112, exifDirectory: 0x8769, userComment: 0x9286 } as const

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** @throws RangeError where the data end within what they point to */
export class Exif {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #little: boolean

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.#little = bytes[0] === 0x49 // "II", else "MM"
  }

  /** Where the first directory begins. */
  get root(): number {
    return this.#view.getUint32(4, this.#little)
  }

  /** Where the entry of a tag lies in a directory. */
  entry(directory: number, tag: number): number | undefined {
    const count = this.#view.getUint16(directory, this.#little)
    for (let at = directory + 2; at < directory + 2 + count * 12; at += 12) if (this.#view.getUint16(at, this.#little) === tag) return at
    return undefined
  }

  /** The value of an entry of one number. */
  short(entry: number): number {
    return this.#view.getUint16(entry + 8, this.#little)
  }

  long(entry: number): number {
    return this.#view.getUint32(entry + 8, this.#little)
  }

  /** The value of an entry of bytes. */
  bytes(entry: number): Uint8Array {
    const length = this.#view.getUint32(entry + 4, this.#little)
    const start = length > 4 ? this.long(entry) : entry + 8
    if (start + length > this.#bytes.length) throw new RangeError('a value lies outside of the data')
    return this.#bytes.subarray(start, start + length)
  }
}

/** 1 to 8; 1, upright, where nothing is said or the data are damaged: a picture with a broken note is still a picture. */
export function orientationOf(bytes: Uint8Array | undefined): number {
  if (!bytes) return 1
  try {
    const exif = new Exif(bytes)
    const entry = exif.entry(exif.root, tags.orientation)
    const value = entry === undefined ? 1 : exif.short(entry)
    return value >= 1 && value <= 8 ? value : 1
  } catch {
    return 1
  }
}
