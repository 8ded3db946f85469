import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Addon } from './addon.js'
import { packageFile } from './package-root.js'

let addon: Addon | undefined

/** No binary could be loaded. The message says what was tried, why each failed, and what to do. */
export class AddonLoadError extends Error {
  constructor(
    message: string,
    readonly details: { attempts: { path: string; reason: string }[]; system: string },
  ) {
    super(message)
  }
}

/** Where a binary may lie: prebuilt for this platform, else built here. An explicit path overrides both. */
function candidates(): string[] {
  const explicit = process.env.NODE_SDXL_ADDON
  if (explicit) return [explicit]
  return [
    packageFile('prebuilds', `${process.platform}-${process.arch}`, 'node-sdxl.node'),
    packageFile('build', 'native', 'Release', 'node-sdxl.node'),
  ]
}

/** Advice by what the system's loader said; the reason itself is always in the message as well. */
function advice(attempts: readonly { path: string; reason: string }[]): string[] {
  const reasons = attempts.map((a) => a.reason).join('\n')
  const lines: string[] = []
  if (/GLIBC|GLIBCXX/.test(reasons))
    lines.push('This system has an older C library than the prebuilt binary was made for: build from source as below.')
  if (/ELF|invalid ELF|not a valid Win32|mach-o/i.test(reasons))
    lines.push('The binary belongs to another platform: run npm install on this machine instead of copying node_modules.')
  lines.push(
    `Prebuilt binaries exist for some platforms only; to build here, with CMake and a C++20 compiler, run in ${packageFile()}:`,
    '    npm install && npx cmake-js compile --out build/native',
  )
  return lines
}

/**
 * The native addon, loaded at first use.
 * @throws AddonLoadError
 */
export function loadAddon(): Addon {
  if (addon) return addon
  const require = createRequire(import.meta.url)
  const attempts: { path: string; reason: string }[] = []
  for (const path of candidates()) {
    if (!existsSync(path)) {
      attempts.push({ path, reason: 'no such file' })
      continue
    }
    try {
      return (addon = require(path) as Addon)
    } catch (error) {
      attempts.push({ path, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  const glibc = (process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined)?.header?.glibcVersionRuntime
  const system = `${process.platform}-${process.arch}${glibc ? `, glibc ${glibc}` : ''}, Node ${process.versions.node}`
  const message = [
    `Could not load the native part of node-sdxl on ${system}. Tried:`,
    ...attempts.map((a) => `  - ${a.path}: ${a.reason}`),
    ...advice(attempts),
  ].join('\n')
  throw new AddonLoadError(message, { attempts, system })
}
