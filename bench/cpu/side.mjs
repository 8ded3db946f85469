// One process that is measured beside others: see native/cpu/bench/cpu_bench.cc for what it is asked and answers.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export class Side {
  constructor(label, program, args, environment = {}) {
    this.label = label
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...environment } })
    this.failed = new Promise((_, fail) => this.child.on('error', fail))
    this.failed.catch(() => {})
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  async line() {
    const { value, done } = await Promise.race([this.lines.next(), this.failed])
    if (done) throw new Error('the process ended')
    return value
  }

  /** Resolves to a reason where the side cannot take part. */
  async absent() {
    try {
      const [, word, text] = (await this.line()).match(/^(\S+) ?(.*)$/)
      if (word === 'ready') this.name = text
      return word === 'ready' ? undefined : text
    } catch (error) {
      return error.message
    }
  }

  ask(request) {
    this.child.stdin.write(`${request}\n`)
    return this.line()
  }

  /** Whether it computes this case. */
  async open({ kind, scale, sizes }) {
    const answer = await this.ask(`open ${kind} ${scale} ${sizes.join(' ')}`)
    this.remark = answer.slice(3)
    return answer.startsWith('ok')
  }
  async run() {
    return Number(await this.ask('run'))
  }
  async peak(milliseconds) {
    return Number(await this.ask(`peak ${milliseconds}`))
  }
  async sample(count) {
    return (await this.ask(`sample ${count}`)).trim().split(' ').filter(Boolean).map(Number)
  }

  end() {
    this.child.stdin.end()
  }
}
