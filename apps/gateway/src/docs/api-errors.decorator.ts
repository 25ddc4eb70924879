import { applyDecorators } from '@nestjs/common';
import { errorBodySchema } from '#contracts';
import { ApiBearerAuth, ApiResponse } from './annotations.js';

const TEXTS: Readonly<Record<number, string>> = {
  400: 'The request is not valid; `details.issues` says where.',
  401: 'No valid API key.',
  403: 'The key has not the scope that this needs.',
  404: 'No such object (or another tenant’s).',
  409: 'Not in the state that this needs, or taken.',
  410: 'It was there and is gone.',
  413: 'The body is too large.',
  415: 'The body is not application/json.',
  416: 'Nothing of it is in the range that was asked for.',
  429: 'Too many requests (`Retry-After`), or the quota is used up.',
  503: 'Try again.',
};

/** A route that needs a key, and the failures it has besides those of every route. */
export function Keyed(...statuses: number[]) {
  const all = [...new Set([400, 401, 403, 429, 503, ...statuses])].sort();
  return applyDecorators(
    ApiBearerAuth('apiKey'),
    ...all.map((status) => ApiResponse({ status, description: TEXTS[status] ?? 'Refused.', standardSchema: errorBodySchema })),
  );
}
