const MASK = '***';
/** Shorter words are in every other text. */
const MIN_LENGTH = 4;
/** Of longer ones each line is looked for. */
const MAX_LENGTH = 4096;

/** Takes secrets out of what a program prints, however it is cut: an end that may be the beginning of one is kept back until more has come. */
export class SecretMask {
  private readonly words: readonly string[];
  private kept = '';

  /** Each line of a secret is one as well. */
  constructor(secrets: readonly string[]) {
    const words = secrets.flatMap((secret) => [secret.trim(), ...secret.split(/\r?\n/).map((line) => line.trim())]);
    this.words = [...new Set(words)].filter((word) => word.length >= MIN_LENGTH && word.length <= MAX_LENGTH).sort((one, other) => other.length - one.length);
  }

  push(text: string): string {
    if (this.words.length === 0) return text;
    const masked = this.words.reduce((rest, word) => rest.replaceAll(word, MASK), this.kept + text);
    const held = Math.max(0, ...this.words.map((word) => openEnd(masked, word)));
    this.kept = masked.slice(masked.length - held);
    return masked.slice(0, masked.length - held);
  }

  /** What is left when nothing more comes. */
  end(): string {
    const rest = this.kept;
    this.kept = '';
    return rest;
  }
}

/** How much of the word's beginning stands at the end of the text. */
function openEnd(text: string, word: string): number {
  for (let length = Math.min(word.length - 1, text.length); length > 0; length -= 1) if (text.endsWith(word.slice(0, length))) return length;
  return 0;
}
