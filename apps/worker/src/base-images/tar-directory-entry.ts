const BLOCK_BYTES = 512;

/** One directory of root's, mode 0755, as a ustar header (POSIX.1-2017, pax, "ustar Interchange Format"): it can stand before any other entry of a tar. */
export function tarDirectoryEntry(name: string, mtimeSeconds: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  header.write(name, 0, 100, 'latin1');
  header.write(`${octal(0o755, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0${octal(0, 11)}\0${octal(mtimeSeconds, 11)}\0`, 100, 'latin1');
  // The checksum is taken with blanks in its own field, bytes 148 to 155.
  header.write('        5', 148, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return header;
}
