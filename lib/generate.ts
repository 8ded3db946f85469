import { checkKeys, invalid } from './check.js'
import { SdxlError } from './errors.js'
import { Job, onAbort } from './job.js'
import { generateKeys } from './model/generate-options.js'
import { checkLoadOptions, loadOptionKeys } from './model/load-options.js'
import { LoadedModel, loadModel } from './model/model.js'
import type { GenerateRequest, GenerationJob, LoadOptions, Model } from './types.js'

/** Models that `generate` has loaded, by path and load options. */
const models = new Map<string, Promise<LoadedModel>>()
/** Those of them that are open. */
const open = new Set<LoadedModel>()
/** Why those were closed that nobody else has closed. */
const crashes = new WeakMap<LoadedModel, SdxlError>()

/**
 * Draws. Loads the model first and keeps it, per path and load options; `model` may also be an open Model.
 *
 * The job starts at once. It is awaitable for the result and async-iterable for the events. `signal` and `onProgress` belong to the
 * generation, and aborting while the model loads leaves the loading to others that wait for it. Kept models whose GPU has crashed are
 * closed, and loaded anew for the next job.
 *
 * @throws (rejects) what loadModel and Model.generate reject with
 */
export function generate(request: GenerateRequest & Omit<LoadOptions, 'onProgress'> & { model: string | Model }): GenerationJob {
  return new Job(async (context) => {
    const begun = performance.now()
    checkKeys('request', request, ['model', ...new Set([...generateKeys, ...loadOptionKeys])])
    const { model, ...given } = request
    const { rest, options } = separate(given)
    if (model instanceof LoadedModel) {
      const given = Object.entries(options).find(([, value]) => value !== undefined)
      if (given) throw invalid(given[0], 'no load option beside an open Model', given[1])
      return model.run(rest, context, 0)
    }
    const loaded = await unlessAborted(keptModel(model as string, options), [context.signal, rest.signal])
    try {
      return await loaded.run(rest, context, performance.now() - begun)
    } catch (error) {
      if (error instanceof SdxlError && error.code === 'ERR_CRASHED') await closeAllOn(loaded.info.device, error)
      if (error instanceof SdxlError && error.code === 'ERR_CLOSED') throw crashes.get(loaded) ?? error
      throw error
    }
  }, request?.onProgress)
}

/** What is for the generation, and what for loading; the signal is the generation's. */
function separate(given: GenerateRequest & Omit<LoadOptions, 'onProgress'>): { rest: GenerateRequest; options: LoadOptions } {
  const isForLoading = ([key]: [string, unknown]) => !generateKeySet.has(key)
  const entries = Object.entries(given)
  return {
    rest: Object.fromEntries(entries.filter((entry) => !isForLoading(entry))) as unknown as GenerateRequest,
    options: Object.fromEntries(entries.filter(isForLoading)),
  }
}

const generateKeySet: ReadonlySet<string> = new Set(generateKeys)

function keptModel(path: string, options: LoadOptions): Promise<LoadedModel> {
  const key = JSON.stringify(checkLoadOptions(path, options))
  const kept = models.get(key)
  if (kept) return kept
  const loading = loadModel(path, options) as Promise<LoadedModel>
  models.set(key, loading)
  // A file that could not be loaded may be there the next time, and a closed model is loaded anew.
  const forget = () => models.delete(key)
  loading.then((model) => {
    open.add(model)
    model.onClose = () => {
      open.delete(model)
      forget()
    }
  }, forget)
  return loading
}

/** The models of one GPU share what has crashed there, and it is given up with the last of them. */
async function closeAllOn(device: string, crash: SdxlError): Promise<void> {
  const models = [...open].filter((model) => model.info.device === device)
  for (const model of models) crashes.set(model, crash)
  await Promise.all(models.map((model) => model.close()))
}

/** The promise's result, unless one of the signals aborts first. */
async function unlessAborted<T>(promise: Promise<T>, signals: (AbortSignal | undefined)[]): Promise<T> {
  promise.catch(() => {})
  const releases: (() => void)[] = []
  try {
    return await Promise.race([promise, new Promise<never>((_, reject) => signals.map((s) => releases.push(onAbort(s, reject))))])
  } finally {
    for (const release of releases) release()
  }
}
