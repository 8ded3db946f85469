export { type Infotext, parseInfotext } from './parse.js'
export { readInfotext, readParameters } from './read.js'
export { writeInfotext } from './write.js'
