import { BLOCK_BYTES } from './blocks.js';
import { type ByteSource } from './byte-source.js';
import { type ExtendedHeaders, parseDecimal } from './extended-headers.js';
import { type Fault } from './fault.js';
import { type HeaderBlock, NumberFields } from './header-block.js';
import { type TarExtent } from './tar.js';

export interface SparseMap {
  /** The file's size, holes included. */
  readonly size: number;
  /** As the archive says; `checkExtents` judges it. */
  readonly extents: readonly TarExtent[];
  /** Bytes of the entry's body that the map itself took. */
  readonly mapBytes: number;
}

interface SparseContext {
  readonly block: HeaderBlock;
  readonly headers: ExtendedHeaders;
  readonly source: ByteSource;
  /** Of the body in the archive. */
  readonly storedBytes: number;
  readonly maxMapBytes: number;
  readonly fault: Fault;
}

/** Whether an entry has a map, of whatever format. */
export function isSparse({ typeflag }: HeaderBlock, { records }: ExtendedHeaders): boolean {
  return typeflag === 'S' || records.some(([key]) => key.startsWith('GNU.sparse.'));
}

/** The map of an entry that has one, in GNU tar's sparse formats: old (typeflag S), PAX 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse Files"). */
export async function readSparseMap(context: SparseContext): Promise<SparseMap> {
  const { headers, block, fault } = context;
  if (block.typeflag === 'S') return oldGnuMap(context);
  const major = headers.number('GNU.sparse.major');
  const minor = headers.number('GNU.sparse.minor');
  if (major === 1 && minor === 0) return mapInBody(context);
  if (major !== undefined && (major !== 0 || minor === undefined || minor > 1)) throw fault('its sparse format is unknown');
  return mapInHeader(headers, fault);
}

/** @throws what is wrong with extents that lie: out of order, over each other, outside the file, or not what the body holds. */
export function checkExtents(map: SparseMap, storedBytes: number, fault: Fault): TarExtent[] {
  let end = 0;
  let data = 0;
  for (const { offset, length } of map.extents) {
    if (offset < end) throw fault('its sparse map goes back or overlaps');
    end = offset + length;
    if (end > map.size) throw fault('its sparse map goes beyond its size');
    data += length;
  }
  if (data !== storedBytes - map.mapBytes) throw fault('its sparse map does not name as many bytes as are stored');
  return map.extents.filter(({ length }) => length > 0);
}

/** Pairs of 12-byte numbers: four in the header, 21 in each block that follows while a flag says so. */
async function oldGnuMap({ block, source, maxMapBytes, fault }: SparseContext): Promise<SparseMap> {
  if (block.dialect !== 'gnu') throw fault('it is sparse in a format other than GNU’s');
  const extents: TarExtent[] = [];
  // The header's map ends at its first empty pair; so does each extension's.
  const add = (from: NumberFields, at: number, pairs: number): void => {
    for (let pair = 0; pair < pairs; pair += 1) {
      const offset = from.number([at + pair * 24, 12], 'sparse offset');
      const length = from.number([at + pair * 24 + 12, 12], 'sparse length');
      if (offset === 0 && length === 0) return;
      extents.push({ offset, length });
    }
  };
  add(block, 386, 4);
  let more = block.bytes[482] !== 0;
  const size = block.number([483, 12], 'real size');
  for (let taken = BLOCK_BYTES; more; taken += BLOCK_BYTES) {
    if (taken > maxMapBytes) throw fault(`its sparse map is longer than ${maxMapBytes} bytes`);
    const extension = await source.exactly(BLOCK_BYTES);
    add(new NumberFields(extension, fault), 0, 21);
    more = extension[504] !== 0;
  }
  return { size, extents, mapBytes: 0 };
}

/** 0.0 says offset and numbytes once per extent, in turn; 0.1 has them all in one record. */
function mapInHeader(headers: ExtendedHeaders, fault: Fault): SparseMap {
  const size = headers.number('GNU.sparse.size') ?? headers.number('GNU.sparse.realsize');
  if (size === undefined) throw fault('it is sparse and does not say its size');
  const map = headers.value('GNU.sparse.map');
  const numbers: number[] = [];
  for (const [key, value] of headers.records) {
    if (key !== 'GNU.sparse.offset' && key !== 'GNU.sparse.numbytes') continue;
    if ((key === 'GNU.sparse.offset') !== (numbers.length % 2 === 0) || map !== undefined) throw fault('its sparse map is out of order');
    numbers.push(parseDecimal(value.toString('latin1', 0, 40), key, fault));
  }
  if (map !== undefined) for (const number of map.toString('latin1').split(',')) numbers.push(parseDecimal(number, 'sparse map', fault));
  const extents = pairs(numbers, fault);
  const announced = headers.number('GNU.sparse.numblocks');
  if (announced !== undefined && announced !== extents.length) throw fault('its sparse map is not as long as announced');
  return { size, extents, mapBytes: 0 };
}

/** 1.0 puts decimal lines before the data: how many pairs, then the pairs, padded to whole blocks. */
async function mapInBody({ headers, source, storedBytes, maxMapBytes, fault }: SparseContext): Promise<SparseMap> {
  const size = headers.number('GNU.sparse.realsize');
  if (size === undefined) throw fault('it is sparse and does not say its size');
  const numbers: number[] = [];
  let wanted = 1;
  let line = '';
  let mapBytes = 0;
  while (numbers.length < wanted) {
    mapBytes += BLOCK_BYTES;
    if (mapBytes > Math.min(storedBytes, maxMapBytes)) throw fault('its sparse map does not end');
    const lines = (line + (await source.exactly(BLOCK_BYTES)).toString('latin1')).split('\n');
    line = lines.pop() ?? '';
    for (const text of lines) {
      if (numbers.length === wanted) break;
      numbers.push(parseDecimal(text, 'sparse map', fault));
      if (numbers.length === 1) wanted = 1 + 2 * (numbers[0] ?? 0);
    }
    if (line.length > 40 && numbers.length < wanted) throw fault('its sparse map is not made of numbers');
  }
  return { size, extents: pairs(numbers.slice(1), fault), mapBytes };
}

function pairs(numbers: readonly number[], fault: Fault): TarExtent[] {
  if (numbers.length % 2 !== 0) throw fault('its sparse map has an offset without a length');
  const extents: TarExtent[] = [];
  for (let at = 0; at < numbers.length; at += 2) extents.push({ offset: numbers[at] ?? 0, length: numbers[at + 1] ?? 0 });
  return extents;
}
