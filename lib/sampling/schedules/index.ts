// Importing a schedule registers it.
import './timesteps.js'
import './karras.js'
import './exponential.js'
import './beta.js'
import './ays.js'
import './gits.js'
import './kl-optimal.js'
import './linear-quadratic.js'

export { findSchedule, scheduleNames } from './schedule.js'
