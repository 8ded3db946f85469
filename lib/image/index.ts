export { createImage, Image, type ImageSource } from './image.js'
export { isPng, type Png, type PngHeader, readPng, readPngText } from './png-read.js'
export { encodedFile, type ImageInput, readImage } from './read-image.js'
export type { Pixels } from './sharp.js'
