export * from './tar.js';
export { decodeName, encodeName } from './names.js';
export { withoutBareRoot } from './bare-root.js';
export { readTar } from './read-tar.js';
export { writeTar } from './write-tar.js';
export { type LayerPath, classifyLayerPath, isLayerName, opaquePathOf, whiteoutPathOf } from './layer-path.js';
