// The part for CI: matrix products and 3×3 convolutions against the multiply-add peak of the same machine in the same minute.
import { cases } from './cases.mjs'

const kLeast = 0.75
const kTurns = 6
const kAttempts = 2 // whoever shares the machine may spoil one
const kNames = [
  'linear 1024 x 1280 -> 1280',
  'linear 1024 x 1280 -> 10240, geglu',
  'linear 1024 x 5120 -> 1280',
  'conv 3x3 320, 128 x 128',
  'conv 3x3 640, 64 x 64',
  'conv 3x3 1280, 32 x 32',
]

/** The best of several runs beside the best of as many peaks, each measured for as long: what holds up the one holds up the other. */
async function share(side, { work }) {
  let least = Infinity
  let peak = 0
  for (let i = 0; i < kTurns; i++) {
    const time = await side.run()
    least = Math.min(least, time)
    peak = Math.max(peak, await side.peak(time))
  }
  return work / least / 1e6 / peak
}

/** Resolves to whether all of them are quick enough. `start`: a side of ours for 'f32' or 'bf16'. */
export async function check(start) {
  let good = true
  for (const type of ['f32', 'bf16']) {
    const side = start(type)
    const reason = await side.absent()
    if (reason !== undefined) {
      console.log(`${type} is not measured: ${reason}`)
      continue
    }
    if (side.name.includes('plain')) {
      console.log(`${type} is not measured: the portable path is there to be right on any CPU`)
      side.end()
      continue
    }
    console.log(`${type}: ${side.name}`)
    for (const name of kNames) {
      const each = cases.find((one) => one.name === name)
      await side.open(each)
      let reached = 0
      for (let i = 0; i < kAttempts && reached < kLeast; i++) reached = await share(side, each)
      const enough = reached >= kLeast
      console.log(
        `  ${name.padEnd(42)} ${(reached * 100).toFixed(0).padStart(4)} % of peak${enough ? '' : `, less than ${kLeast * 100} %`}`,
      )
      good &&= enough
    }
    side.end()
  }
  return good
}
