import { setImmediate } from 'node:timers/promises'
import type { NativeModelInfo } from '../../bindings/addon.js'
import { explainPrompt, parsePrompt, prepareVocabulary, tokenize } from '../prompt/index.js'
import { encodePlan } from '../sampling/encode-plan.js'
import { samplingFor, samplingPlan, sigmas } from '../sampling/index.js'
import { checkGenerateRequest, modelSize } from './generate-options.js'
import { checkSampling } from './sampling-options.js'

const info = { path: 'model', title: '', resolution: '', scale: 8, latentChannels: 4, markers: [] as string[] } as NativeModelInfo // what checking a request looks at

/** What a generation runs on the event loop before the engine gets it, from the inside out. */
const parts: readonly (() => unknown)[] = [
  () => tokenize('a star'),
  () => tokenize('un café'),
  () => tokenize('&amp;'),
  () => parsePrompt('a (red:1.1) [star]'),
  () => explainPrompt('a (red:1.1) [star]'),
  () => samplingFor({ sampler: 'Euler', steps: 2 }),
  () => samplingPlan('euler', sigmas('normal', 2)),
  () => encodePlan(samplingPlan('euler', sigmas('normal', 2))),
  () => checkSampling({}, false),
  () => checkGenerateRequest({ prompt: '' }, info, modelSize(info)),
]

/**
 * Reads the vocabulary and runs those parts once, each in a turn of the event loop of its own. Compiled only at the first generation,
 * and all in one turn, they would hold the event loop up for 5 to 15 ms. The engine loads the weights meanwhile.
 */
export async function warmUp(): Promise<void> {
  await setImmediate() // the addon was loaded in this turn
  await prepareVocabulary()
  for (const part of parts) {
    part()
    await setImmediate()
  }
}
