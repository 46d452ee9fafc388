/** How much less likely an unknown character is than the least likely piece, in the log domain. */
const UNKNOWN_PENALTY = 10;

/** A vocabulary of pieces with their log probabilities; the id of a piece is its index. */
export interface UnigramModel {
  readonly pieces: readonly (readonly [piece: string, score: number])[];
  readonly unknownId: number;
  /** Spells unknown characters as the pieces `<0x00>` … `<0xFF>`. */
  readonly byteFallback: boolean;
}

interface Step {
  /** Where the piece that ends here begins. */
  readonly from: number;
  readonly id: number;
  /** Log probability of the best way to get here. */
  readonly score: number;
}

/**
 * The unigram language model's segmentation (Kudo, 2018): of all ways to cut a word into pieces, the most probable,
 * found by dynamic programming from left to right. Unknown characters that follow one another become one piece.
 */
export function createUnigram({ pieces, unknownId, byteFallback }: UnigramModel): (word: string) => number[] {
  const ids = new Map(pieces.map(([piece], id) => [piece, id]));
  let longest = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [piece, score] of pieces) {
    longest = Math.max(longest, piece.length);
    least = Math.min(least, score);
  }
  const unknownScore = least - UNKNOWN_PENALTY;

  function bestSteps(word: string): (Step | undefined)[] {
    const steps = new Array<Step | undefined>(word.length + 1);
    steps[0] = { from: 0, id: unknownId, score: 0 };
    for (let from = 0; from < word.length; ) {
      const width = (word.codePointAt(from) as number) > 0xffff ? 2 : 1;
      const before = (steps[from] as Step).score;
      const offer = (to: number, id: number, score: number): void => {
        const rival = steps[to];
        if (!rival || score > rival.score) steps[to] = { from, id, score };
      };
      let single = false;
      for (let length = 1; length <= Math.min(longest, word.length - from); length++) {
        const id = ids.get(word.slice(from, from + length));
        if (id === undefined) continue;
        offer(from + length, id, before + pieces[id]![1]);
        single ||= length === width;
      }
      if (!single) offer(from + width, unknownId, before + unknownScore);
      from += width;
    }
    return steps;
  }

  function spelled(text: string): number[] {
    if (!byteFallback) return [unknownId];
    const bytes = Array.from(new TextEncoder().encode(text), byte =>
      ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );
    return bytes.every(id => id !== undefined) ? bytes : [unknownId];
  }

  return word => {
    const steps = bestSteps(word);
    const backwards: number[][] = [];
    for (let end = word.length; end > 0; ) {
      let { from, id } = steps[end] as Step;
      if (id === unknownId) {
        while (from > 0 && (steps[from] as Step).id === unknownId) from = (steps[from] as Step).from;
        const text = word.slice(from, end);
        const known = ids.get(text);
        backwards.push(known === undefined ? spelled(text) : [known]);
      } else {
        backwards.push([id]);
      }
      end = from;
    }
    return backwards.reverse().flat();
  };
}
