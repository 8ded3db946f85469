import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readSafetensors, type Stored } from './safetensors.js'

const folder = fileURLToPath(new URL('../golden/tasks/', import.meta.url))

/** What a case of task_goldens.py says of its picture. */
export interface TaskCase {
  spec: string
  /** Its file among the goldens, where it is not the model's own. */
  vae?: string
  prompt: string
  negativePrompt: string
  seed: number
  guidance: number | number[]
  rescale: number
  projection?: { eta: number; limit: number; momentum: number }
  width: number
  height: number
}

/** The path of another golden file, such as a case's VAE; nothing for nothing. */
export const goldenFile = (name: string | undefined): string | undefined =>
  name && fileURLToPath(new URL(`../golden/${name}`, import.meta.url))

/** What Diffusers' pipelines draw (tools/reference/task_goldens.py, task_settings.py): the cases of a file, and the tensors beside it. */
export function taskGoldens<Cases>(name: 'tasks' | 'settings'): { cases: Cases; golden: Record<string, Stored> } {
  const { cases } = JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8')) as { cases: Cases }
  return { cases, golden: readSafetensors(`${folder}${name}.safetensors`) }
}
