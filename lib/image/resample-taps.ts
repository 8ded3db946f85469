/** How one output line is made of input lines: Σ weights[i] · line[start + i]. */
export interface Taps {
  readonly start: number
  readonly weights: Float64Array
}

interface Kernel {
  /** Half its width, in samples of the coarser grid. */
  readonly support: number
  readonly at: (x: number) => number
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** Keys' cubic convolution with the parameter a. */
const cubic = (a: number) => (x: number) => {
  const d = Math.abs(x)
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0
}

const kernels = {
  bilinear: { support: 1, at: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, at: cubic(-0.5) },
  lanczos: { support: 3, at: (x: number) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
} satisfies Record<string, Kernel>

export type Filter = keyof typeof kernels

/**
 * Resampling from `from` to `to` lines as Pillow and torch's `antialias` do it: a kernel as wide as the coarser grid, cut off at the edges
 * and normalized.
 */
export function smoothTaps(filter: Filter, from: number, to: number): Taps[] {
  const { support, at } = kernels[filter]
  const scale = from / to
  const stretch = Math.max(scale, 1)
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale
    const start = Math.max(Math.trunc(center - support * stretch + 0.5), 0)
    const end = Math.min(Math.trunc(center + support * stretch + 0.5), from)
    const weights = Float64Array.from({ length: end - start }, (_, k) => at((start + k - center + 0.5) / stretch))
    const sum = weights.reduce((a, b) => a + b, 0)
    return { start, weights: weights.map((weight) => weight / sum) }
  })
}

/**
 * Resampling as torch's `interpolate` does it without `antialias`: between the nearest 2 ('bilinear') or 4 lines ('bicubic', a = −0.75),
 * whatever the scale; lines beyond an edge repeat it.
 */
export function sharpTaps(filter: 'bilinear' | 'bicubic', from: number, to: number): Taps[] {
  const kernel: Kernel = filter === 'bilinear' ? kernels.bilinear : { support: 2, at: cubic(-0.75) }
  const scale = from / to
  return Array.from({ length: to }, (_, i) => {
    const exact = (i + 0.5) * scale - 0.5
    const source = filter === 'bilinear' ? Math.max(exact, 0) : exact
    const first = Math.floor(source) + 1 - kernel.support
    const inside = (line: number) => Math.min(Math.max(line, 0), from - 1)
    const start = inside(first)
    const weights = new Float64Array(inside(first + 2 * kernel.support - 1) - start + 1)
    for (let k = 0; k < 2 * kernel.support; ++k) weights[inside(first + k) - start]! += kernel.at(first + k - source)
    return { start, weights }
  })
}

/** The line that an output line lies in: its centre in torch's 'nearest-exact' and Pillow, its lower edge in torch's 'nearest'. */
export function nearestTaps(from: number, to: number, at: 'center' | 'edge' = 'center'): Taps[] {
  const shift = at === 'center' ? 0.5 : 0
  const weights = Float64Array.of(1)
  return Array.from({ length: to }, (_, i) => ({ start: Math.min(Math.floor(((i + shift) * from) / to), from - 1), weights }))
}
