import { StandardSchemaValidationPipe } from '@nestjs/common';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { CodedError } from '#kernel';

const ISSUES_SHOWN = 50;

/** Checks what `@Body({ schema })`, `@Query({ schema })` and `@Param({ schema })` name, and says in `details.issues` what is wrong. */
export function validationPipe(): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({ exceptionFactory: invalidArgument });
}

export function invalidArgument(issues: readonly StandardSchemaV1.Issue[]): CodedError {
  const shown = issues.slice(0, ISSUES_SHOWN).map((issue) => ({ path: pathText(issue), message: issue.message }));
  const first = shown[0];
  const where = first === undefined || first.path === '' ? 'the request' : first.path;
  return new CodedError('invalid_argument', `${where}: ${first?.message ?? 'is not valid'}`, { issues: shown });
}

function pathText(issue: StandardSchemaV1.Issue): string {
  return (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
}
