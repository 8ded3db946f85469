import { setImmediate } from 'node:timers/promises'
import { layoutPrompt, prepareVocabulary } from '../prompt/index.js'
import { encodePlan } from '../sampling/encode-plan.js'
import { samplingPlan, sigmas } from '../sampling/index.js'

/**
 * Reads the vocabulary, and runs once what a generation runs on the event loop, a part per turn: in one turn, and compiled only then,
 * it would hold the event loop up for ten milliseconds at the first generation. The engine loads the weights meanwhile.
 */
export async function warmUp(): Promise<void> {
  await setImmediate() // loading the addon was the turn before
  await prepareVocabulary()
  const parts = [() => layoutPrompt('a, (b:1.1) [c]'), () => encodePlan(samplingPlan('euler', sigmas('normal', 2)))]
  for (const part of parts) {
    part()
    await setImmediate()
  }
}
