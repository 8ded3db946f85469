export { createImage, Image, type ImageSource } from './image.js'
export { type Png, type PngHeader, readPng } from './png-read.js'
export { type ImageInput, readImage } from './read-image.js'
export type { Pixels } from './sharp.js'
