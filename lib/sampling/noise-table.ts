import { invalid } from '../check.js'

const trainingSteps = 1000
const betaStart = 0.00085
const betaEnd = 0.012
/** What single precision leaves of the last ᾱ in the code that models with zero terminal SNR were first run with; ComfyUI's number. */
const terminalVariance = 4.8973451890853435e-8

/** What is left of the signal's variance after each training step, ᾱ. "Scaled linear": √β is evenly spaced. */
function signalVariance(): Float64Array {
  const variance = new Float64Array(trainingSteps)
  const [from, to] = [Math.sqrt(betaStart), Math.sqrt(betaEnd)]
  let product = 1
  for (let t = 0; t < trainingSteps; ++t) {
    const beta = (from + (t / (trainingSteps - 1)) * (to - from)) ** 2
    variance[t] = product *= 1 - beta
  }
  return variance
}

/**
 * Shifts and stretches √ᾱ so that nothing of the signal is left at the last step. Lin et al. 2024, "Common Diffusion Noise Schedules and
 * Sample Steps are Flawed", algorithm 1. The last ᾱ is `terminalVariance` (σ = 4518.8) and not 0, so that every σ is finite.
 */
function withZeroTerminalSnr(variance: Float64Array): Float64Array {
  const first = Math.sqrt(variance[0]!)
  const last = Math.sqrt(variance[trainingSteps - 1]!)
  const rescaled = variance.map((v) => (((Math.sqrt(v) - last) * first) / (first - last)) ** 2)
  rescaled[trainingSteps - 1] = terminalVariance
  return rescaled
}

/**
 * The noise levels the network was trained on: σ = √((1 − ᾱ) / ᾱ), ascending, one per training step. Between two entries log σ is linear
 * in the timestep, as in k-diffusion, so timesteps are fractional.
 */
export class NoiseTable {
  readonly #logSigmas: Float64Array // [1000]
  readonly sigmaMin: number
  readonly sigmaMax: number

  constructor(variance: Float64Array) {
    const sigmas = variance.map((v) => Math.sqrt((1 - v) / v))
    this.#logSigmas = sigmas.map(Math.log)
    this.sigmaMin = sigmas[0]!
    this.sigmaMax = sigmas[trainingSteps - 1]!
  }

  /** @returns the timestep, 0 … 999, fractional; a level outside the table gives the nearer end. */
  sigmaToTimestep(sigma: number): number {
    if (!(sigma >= 0)) throw invalid('sigma', 'a number of at least 0', sigma)
    const logSigma = Math.log(sigma)
    const table = this.#logSigmas
    let low = 0
    let high = trainingSteps - 1
    if (logSigma <= table[low]!) return low
    if (logSigma >= table[high]!) return high
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (table[middle]! <= logSigma) low = middle
      else high = middle
    }
    return low + (logSigma - table[low]!) / (table[high]! - table[low]!)
  }

  /** The inverse of sigmaToTimestep; a timestep outside 0 … 999 gives the nearer end. */
  timestepToSigma(timestep: number): number {
    if (Number.isNaN(timestep)) throw invalid('timestep', 'a number', timestep)
    const inside = Math.min(Math.max(timestep, 0), trainingSteps - 1)
    const low = Math.floor(inside)
    const weight = inside - low
    const table = this.#logSigmas
    return Math.exp((1 - weight) * table[low]! + weight * table[Math.ceil(inside)]!)
  }
}

/** The last timestep of every table. */
export const lastTimestep = trainingSteps - 1

const standard = new NoiseTable(signalVariance())
const zeroTerminal = new NoiseTable(withZeroTerminalSnr(signalVariance()))

export function noiseTable(zeroTerminalSnr = false): NoiseTable {
  return zeroTerminalSnr ? zeroTerminal : standard
}

/** SDXL's usual table: σ from 0.0292 to 14.6146. */
export const sigmaToTimestep = (sigma: number): number => standard.sigmaToTimestep(sigma)
export const timestepToSigma = (timestep: number): number => standard.timestepToSigma(timestep)
