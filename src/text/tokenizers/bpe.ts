import { CheckpointError } from '../../errors';
import { MAX_TOKENS } from './limits';

/** A byte-pair vocabulary. */
export interface BpeModel {
  readonly vocab: ReadonlyMap<string, number>;
  /** Pairs of pieces, the one that is joined first in front. */
  readonly merges: readonly (readonly [string, string])[];
  /** Stands after the last character of a word. */
  readonly endOfWord: string;
  /** The id of a character that the vocabulary lacks; without one it is left out. */
  readonly unknownId: number | undefined;
}

interface Merge {
  readonly rank: number;
  readonly id: number;
}

/** A pair that can be joined, unless another join comes first: what is at `at` and the piece after it. */
interface Candidate extends Merge {
  readonly at: number;
}

/**
 * Byte-pair encoding (Sennrich et al., 2016): of all neighbours in a word, the pair of the lowest rank is joined, the
 * leftmost of equals first, until no pair is left that the merges know.
 * @param where names the files, for errors
 * @throws CheckpointError for a merge of pieces that the vocabulary lacks
 */
export function createBpe({ vocab, merges, endOfWord, unknownId }: BpeModel, where: string) {
  const known = new Map<number, Merge>();
  const pairOf = (left: number, right: number): number => left * (MAX_TOKENS + 1) + right;

  merges.forEach(([left, right], rank) => {
    const [a, b, id] = [vocab.get(left), vocab.get(right), vocab.get(left + right)];
    if (a === undefined || b === undefined || id === undefined) {
      const lacking = a === undefined ? left : b === undefined ? right : left + right;
      throw new CheckpointError(
        'config_json',
        `${where}: merge ${rank + 1} needs ${JSON.stringify(lacking)}, which the vocabulary lacks.`,
        { hint: 'Take all files of the tokenizer from one repository.' },
      );
    }
    // A pair that is given twice counts as given last, as in the reference.
    known.set(pairOf(a, b), { rank, id });
  });

  /** Ids of a word's characters. */
  function charactersOf(word: string): number[] {
    const characters = Array.from(word);
    return characters.flatMap((character, i) => {
      const id = vocab.get(i === characters.length - 1 ? character + endOfWord : character) ?? unknownId;
      return id === undefined ? [] : [id];
    });
  }

  return (word: string): number[] => {
    const ids: (number | undefined)[] = charactersOf(word);
    const next = ids.map((_, i) => i + 1);
    const previous = ids.map((_, i) => i - 1);
    const queue: Candidate[] = [];

    function mergeAt(at: number): Merge | undefined {
      const [left, right] = [ids[at], ids[next[at] as number]];
      return left === undefined || right === undefined ? undefined : known.get(pairOf(left, right));
    }

    function offer(at: number): void {
      const merge = mergeAt(at);
      if (merge) push(queue, { ...merge, at });
    }

    for (let at = 0; at < ids.length - 1; at++) offer(at);
    for (let best = pop(queue); best; best = pop(queue)) {
      const { at, id } = best;
      const after = next[at] as number;
      if (mergeAt(at)?.id !== id) continue;
      ids[at] = id;
      ids[after] = undefined;
      const beyond = next[after] as number;
      next[at] = beyond;
      if (beyond < ids.length) previous[beyond] = at;
      offer(at);
      if ((previous[at] as number) >= 0) offer(previous[at] as number);
    }
    return ids.filter(id => id !== undefined);
  };
}

const isBefore = (a: Candidate, b: Candidate): boolean => a.rank < b.rank || (a.rank === b.rank && a.at < b.at);

/** Adds to a binary heap. */
function push(heap: Candidate[], item: Candidate): void {
  let at = heap.push(item) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(item, heap[parent] as Candidate)) break;
    heap[at] = heap[parent] as Candidate;
    at = parent;
  }
  heap[at] = item;
}

/** Takes the first of a binary heap. */
function pop(heap: Candidate[]): Candidate | undefined {
  const first = heap[0];
  const item = heap.pop();
  if (first === undefined || item === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Candidate, heap[child] as Candidate)) child++;
    if (!isBefore(heap[child] as Candidate, item)) break;
    heap[at] = heap[child] as Candidate;
    at = child;
  }
  heap[at] = item;
  return first;
}
