// Importing a sampler registers it.
import './euler.js'
import './euler-ancestral.js'
import './dpmpp-2m.js'

export { defineSampler, findSampler, samplerNames } from './sampler.js'
