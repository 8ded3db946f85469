export { type Infotext, parseInfotext } from './parse.js'
export { readInfotext } from './read.js'
export { writeInfotext } from './write.js'
