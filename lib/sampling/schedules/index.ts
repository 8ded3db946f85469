// Importing a schedule registers it.
import './normal.js'
import './karras.js'

export { findSchedule, scheduleNames } from './schedule.js'
