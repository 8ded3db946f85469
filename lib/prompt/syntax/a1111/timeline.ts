import { Excerpt } from '../excerpt.js'
import type { StepCount } from '../syntax.js'
import type { Construct } from './schedule.js'

/** What a text says up to a step. Steps with the same text may share it. */
export interface Moment {
  readonly until: number
  readonly excerpt: Excerpt
}

type Constructs = readonly (Construct | undefined)[]

/** The step until which the first option shows; what is smaller than 1 never shows it. With a point it is a part of the steps. */
function lastStep(when: string, { steps, before = 0 }: StepCount): number {
  const value = Number(when)
  return Math.min(steps, Math.trunc(when.includes('.') ? (before > 0 ? value - 1 : value) * steps : value - before))
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b > 0) [a, b] = [b, a % b]
  return a
}

/** After how many steps all alternations are where they were; `steps` if that is beyond the last one. Undefined if there are none. */
function periodOf(constructs: Constructs, steps: number): number | undefined {
  let period: number | undefined
  for (const construct of constructs) {
    if (!construct || construct.when !== undefined) continue
    const { length } = construct.options
    period = period === undefined ? length : (period / greatestCommonDivisor(period, length)) * length
    if (period >= steps) return steps
  }
  return period
}

/** The text at one step, with a stack of what is to be gone on with: constructs nest as deep as the text is long. */
function excerptAt(text: string, constructs: Constructs, lastSteps: readonly number[], step: number): Excerpt {
  const excerpt = new Excerpt(text)
  const outer: { at: number; to: number; next: number }[] = []
  let range: { at: number; to: number; next: number } | undefined = { at: 0, to: text.length, next: 0 }
  while (range) {
    let { next } = range
    while (next < constructs.length && !constructs[next]) next++
    const construct = constructs[next]
    if (!construct || construct.start >= range.to) {
      excerpt.take(range.at, range.to)
      range = outer.pop()
      continue
    }
    excerpt.take(range.at, construct.start)
    outer.push({ at: construct.end, to: range.to, next: construct.next })
    const { options, when } = construct
    const option = options[when === undefined ? (step - 1) % options.length : step <= lastSteps[next]! ? 0 : 1]!
    range = { at: option.from, to: option.to, next: option.first }
  }
  return excerpt
}

/** The texts that the constructs make of a text, step by step where alternations change it, else where schedules do. */
export function timelineOf(text: string, constructs: Constructs, count: StepCount): Moment[] {
  const { steps } = count
  const lastSteps = constructs.map((construct) => (construct?.when === undefined ? 0 : lastStep(construct.when, count)))
  const changes = [...new Set(lastSteps)].filter((step) => step >= 1 && step < steps).sort((a, b) => a - b)
  changes.push(steps)
  const period = periodOf(constructs, steps)
  if (period === undefined) return changes.map((until) => ({ until, excerpt: excerptAt(text, constructs, lastSteps, until) }))

  const moments: Moment[] = []
  let from = 1
  for (const until of changes) {
    // Between two changes the texts recur, however many steps there are.
    const recurring: Excerpt[] = []
    for (let step = from; step <= until; step++) {
      const excerpt = (recurring[(step - 1) % period] ??= excerptAt(text, constructs, lastSteps, step))
      moments.push({ until: step, excerpt })
    }
    from = until + 1
  }
  return moments
}
