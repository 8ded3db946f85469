// What the writer and the reader of PNG files share.

export const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

/** Bytes of a chunk around its data: length, type and CRC. */
export const chunkOverhead = 12

export const headerLength = 13
