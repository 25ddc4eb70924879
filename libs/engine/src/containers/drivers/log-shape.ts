import type { ContainerLogging } from '../containers.js';
import { DEFAULT_LOG_SHAPE, type LogShape } from './container-log.js';

const MIB = 1024 * 1024;
const MIN_BYTES = 128 * 1024;
const MAX_BYTES = 64 * MIB;
const MAX_FILES = 20;
/** Of all files of one container. */
const MAX_TOTAL_BYTES = 128 * MIB;
/** Of a container whose output is not kept: what one who is attached still has to take. */
const UNKEPT: LogShape = { segmentBytes: MIB, segments: 1 };

/** What is kept of a container's output; what it asks for beyond our bounds is cut to them. */
export function logShapeOf(logging: ContainerLogging | undefined): LogShape {
  if (logging?.driver === 'none') return UNKEPT;
  const { maxSizeBytes, maxFiles } = logging ?? {};
  if (maxSizeBytes === undefined && maxFiles === undefined) return DEFAULT_LOG_SHAPE;
  const segmentBytes = Math.min(MAX_BYTES, Math.max(MIN_BYTES, maxSizeBytes ?? DEFAULT_LOG_SHAPE.segmentBytes));
  const segments = Math.min(MAX_FILES, Math.max(1, maxFiles ?? DEFAULT_LOG_SHAPE.segments), Math.max(1, Math.floor(MAX_TOTAL_BYTES / segmentBytes)));
  return { segmentBytes, segments };
}

export function keepsOutput(logging: ContainerLogging | undefined): boolean {
  return logging?.driver !== 'none';
}
