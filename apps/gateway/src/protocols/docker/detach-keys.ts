/** Of `ctrl-`: a letter or one of these. */
const CONTROLS = /^ctrl-([a-z@[\\\]^_])$/;

/** `ctrl-p,ctrl-q` or `a,b` as the bytes that a terminal sends. Undefined when it is malformed. */
export function detachKeysOf(text: string): Buffer | undefined {
  const bytes: number[] = [];
  for (const key of text.split(',')) {
    const control = CONTROLS.exec(key)?.[1];
    // A control character is its letter's code without the upper bits.
    if (control !== undefined) bytes.push(control.toUpperCase().charCodeAt(0) & 0x1f);
    else if (/^[\x20-\x7e]$/.test(key)) bytes.push(key.charCodeAt(0));
    else return undefined;
  }
  return Buffer.from(bytes);
}
