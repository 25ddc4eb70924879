export { anApiKey, anOutcome, aRunSpec, aStepResult, aTenant } from './rows.js';
