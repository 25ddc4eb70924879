import { createRunSchema, type RuntimeDefinition } from '#contracts';
import { planRun } from '../runs/run-plan.js';
import { RuntimeFiles } from './runtime-files.js';

/** A build that runs a runtime's example as a run would, then asks for the version. Steps are numbered as the build's events have them. */
export interface RuntimeTrial {
  readonly files: RuntimeFiles;
  readonly exampleStep: number;
  readonly versionStep: number;
}

/** @param image what the runtime's Dockerfile came to */
export function planTrial(definition: RuntimeDefinition, image: string): RuntimeTrial {
  const { steps } = planRun(createRunSchema.parse({ runtime: definition.name, code: definition.example.code }), definition);
  const environment = (steps[0]?.env ?? []).map((variable) => {
    const equals = variable.indexOf('=');
    return `ENV ${variable.slice(0, equals)}="${variable.slice(equals + 1).replace(/[\\"$]/g, (character) => `\\${character}`)}"`;
  });
  const lines = [
    `FROM ${image}`,
    ...environment,
    `COPY --chown=1000:1000 ${JSON.stringify([definition.mainFile, '/work/'])}`,
    ...steps.map(({ argv }) => `RUN ${JSON.stringify(argv)}`),
    `RUN ${JSON.stringify(definition.versionCommand)}`,
  ];
  return { files: RuntimeFiles.of({ Dockerfile: `${lines.join('\n')}\n`, [definition.mainFile]: definition.example.code }), exampleStep: lines.length - 1, versionStep: lines.length };
}
