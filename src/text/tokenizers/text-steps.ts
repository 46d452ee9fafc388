import { z } from 'zod';
import { CheckpointError, UnsupportedError } from '../../errors';
import { lowerEach, stripEnd, stripStart, WHITE_SPACE } from '../unicode';
import { byteCharacters } from './byte-characters';
import { charsmapNormalizer } from './charsmap';
import { MAX_DEPTH, MAX_GROWTH, MAX_REPLACEMENT, MAX_STEPS } from './limits';
import { type StepSpec, stepList } from './schemas';

/** Rewrites a text before it is cut. */
export type Normalizer = (text: string) => string;

/** Cuts a text into words. @param first whether it is the beginning of the prompt */
export type Splitter = (text: string, first: boolean) => string[];

/** What stands for a space inside pieces. */
export const SPACE_MARK = '▁';

const replacement = z.string().max(MAX_REPLACEMENT);
const patternSpec = z.union([
  z.object({ String: z.string().min(1).max(MAX_REPLACEMENT) }),
  z.object({ Regex: z.string() }),
]);

/**
 * The regular expressions that published tokenizers replace by. Others are refused: they are code from outside, and one
 * such as `(a+)+$` never ends.
 */
const REPLACED = new Map([
  [' {2,}', / {2,}/g],
  [' +', / +/g],
  ['\\s+', new RegExp(`${WHITE_SPACE}+`, 'gu')],
  ['\\s{2,}', new RegExp(`${WHITE_SPACE}{2,}`, 'gu')],
]);

/**
 * Letters and digits of Unicode 17. The tables of the reference end before it, so that these are signs to it, and which
 * tables a release of Node has is left to chance.
 */
const TOO_NEW =
  '\\u088f\\u0c5c\\u0cdc\\ua7ce\\ua7cf\\ua7f1\\u{10940}-\\u{10959}\\u{10ec5}-\\u{10ec7}\\u{11db0}-\\u{11ddb}' +
  '\\u{11de0}-\\u{11de9}\\u{16ea0}-\\u{16eb8}\\u{16ebb}-\\u{16ed3}\\u{16ff2}\\u{16ff3}\\u{187f8}-\\u{187ff}' +
  '\\u{18d09}-\\u{18d1e}\\u{18d80}-\\u{18df2}\\u{1e6c0}-\\u{1e6de}\\u{1e6e0}-\\u{1e6e2}\\u{1e6e4}\\u{1e6e5}' +
  '\\u{1e6e7}-\\u{1e6ed}\\u{1e6f0}-\\u{1e6f4}\\u{1e6fe}\\u{1e6ff}\\u{2b73a}-\\u{2b73f}\\u{2cea2}-\\u{2cead}\\u{323b0}-\\u{33479}';

/** English contractions, words, single digits, and runs of other signs. */
const CLIP_WORDS = new RegExp(
  `'(?:s|t|re|ve|m|ll|d)|[^\\P{L}${TOO_NEW}]+|[^\\P{N}${TOO_NEW}]|(?:[^${WHITE_SPACE}\\p{L}\\p{N}]|[${TOO_NEW}])+`,
  'gu',
);
const CLIP_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
/**
 * The regular expressions that published tokenizers take words by. The names of the special tokens in the second make no
 * difference: a name that is no token is cut at its signs all the same, by the step after it.
 */
const TAKEN = new Map([
  [CLIP_PATTERN, CLIP_WORDS],
  [`<\\|startoftext\\|>|<\\|endoftext\\|>|${CLIP_PATTERN}`, CLIP_WORDS],
]);

/** Counts the steps of a tokenizer while they are built. */
interface Budget {
  steps: number;
}

/**
 * @throws UnsupportedError for a kind of step that no tokenizer of CLIP or T5 has, CheckpointError for a broken one
 */
export function normalizerOf(spec: StepSpec): Normalizer {
  const normalize = normalizerStep(spec, { steps: 0 }, 0);
  return text => {
    const result = normalize(text);
    requireGrowth(text, result);
    return result;
  };
}

function normalizerStep(spec: StepSpec, budget: Budget, depth: number): Normalizer {
  if (!spec) return text => text;
  count(spec.type, budget, depth);
  switch (spec.type) {
    case 'Sequence': {
      const { normalizers } = fields(spec, { normalizers: stepList });
      const steps = normalizers.map(step => normalizerStep(step, budget, depth + 1));
      return text =>
        steps.reduce((result, step) => {
          const next = step(result);
          requireGrowth(text, next);
          return next;
        }, text);
    }
    case 'Precompiled': {
      const { precompiled_charsmap: rules } = fields(spec, { precompiled_charsmap: z.string().nullish() });
      return rules ? charsmapNormalizer(bytesOf(rules)) : text => text;
    }
    case 'Strip': {
      const { strip_left, strip_right } = fields(spec, { strip_left: z.boolean(), strip_right: z.boolean() });
      return text => {
        const rest = strip_left ? stripStart(text) : text;
        return strip_right ? stripEnd(rest) : rest;
      };
    }
    case 'Replace': {
      const { pattern, content } = fields(spec, { pattern: patternSpec, content: replacement });
      const found = 'String' in pattern ? pattern.String : knownPattern(REPLACED, pattern.Regex, spec.type);
      return text => text.replaceAll(found, () => content);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = spec.type;
      return text => text.normalize(form);
    }
    case 'Lowercase':
      return lowerEach;
    default:
      throw unknownStep('normalizer', spec.type);
  }
}

/**
 * @throws UnsupportedError for a kind of step that no tokenizer of CLIP or T5 has, CheckpointError for a broken one
 */
export function splitterOf(spec: StepSpec): Splitter {
  return splitterStep(spec, { steps: 0 }, 0);
}

function splitterStep(spec: StepSpec, budget: Budget, depth: number): Splitter {
  if (!spec) return text => [text];
  count(spec.type, budget, depth);
  switch (spec.type) {
    case 'Sequence': {
      const { pretokenizers } = fields(spec, { pretokenizers: stepList });
      const steps = pretokenizers.map(step => splitterStep(step, budget, depth + 1));
      return (text, first) =>
        steps.reduce((words, step) => words.flatMap((word, i) => step(word, first && i === 0)), [text]);
    }
    case 'WhitespaceSplit': {
      const white = new RegExp(`${WHITE_SPACE}+`, 'u');
      return text => text.split(white).filter(word => word !== '');
    }
    case 'Metaspace': {
      const { replacement, prepend_scheme, add_prefix_space, split } = fields(spec, {
        replacement: z.string().min(1).max(2).default(SPACE_MARK),
        prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
        add_prefix_space: z.boolean().default(true),
        split: z.boolean().default(true),
      });
      return metaspace(replacement, prepend_scheme ?? (add_prefix_space ? 'always' : 'never'), split);
    }
    case 'Split': {
      const { pattern } = fields(spec, {
        pattern: z.object({ Regex: z.string() }),
        behavior: z.literal('Removed'),
        invert: z.literal(true),
      });
      const words = knownPattern(TAKEN, pattern.Regex, spec.type);
      return text => text.match(words) ?? [];
    }
    case 'ByteLevel':
      // It would cut words too; those of CLIP are cut already.
      fields(spec, { add_prefix_space: z.literal(false) });
      return text => [byteCharacters(text)];
    default:
      throw unknownStep('pre-tokenizer', spec.type);
  }
}

/** Marks every space, and the beginning, and cuts before each mark. */
export function metaspace(mark: string, prepend: 'always' | 'first' | 'never', split = true): Splitter {
  return (text, first) => {
    const marked = text.replaceAll(' ', mark);
    const missing = marked !== '' && !marked.startsWith(mark);
    const whole = missing && (prepend === 'always' || (prepend === 'first' && first)) ? mark + marked : marked;
    if (!split) return whole === '' ? [] : [whole];
    // The part before the first mark, if any, then one word from each mark to the next.
    const [head = '', ...words] = whole.split(mark);
    return [head, ...words.map(word => mark + word)].filter(word => word !== '');
  };
}

function fields<Shape extends z.ZodRawShape>(spec: NonNullable<StepSpec>, shape: Shape) {
  const parsed = z.object(shape).safeParse(spec);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw broken(`${issue.path.join('.')} of the step ${spec.type}: ${issue.message}`);
}

function count(type: string, budget: Budget, depth: number): void {
  budget.steps++;
  if (budget.steps > MAX_STEPS) throw broken(`has more than ${MAX_STEPS} steps`);
  if (depth > MAX_DEPTH) throw broken(`the step ${type} lies more than ${MAX_DEPTH} levels deep`);
}

function requireGrowth(before: string, after: string): void {
  // A few characters more for short texts, such as the mark of a beginning.
  if (after.length <= MAX_GROWTH * (before.length + 1)) return;
  throw broken(`its steps make more than ${MAX_GROWTH} characters of one`);
}

function bytesOf(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), character => character.charCodeAt(0));
  } catch {
    throw broken('precompiled_charsmap of the step Precompiled is not base64');
  }
}

function knownPattern(known: ReadonlyMap<string, RegExp>, source: string, type: string): RegExp {
  const found = known.get(source);
  if (found) return found;
  const shown = JSON.stringify(source.length > 60 ? `${source.slice(0, 60)}…` : source);
  throw new UnsupportedError(
    `tokenizer.json: the step ${type} has the pattern ${shown}, which ertacache does not know.`,
    {
      hint: `Of patterns it takes only those of published tokenizers, here ${[...known.keys()].join('   ')}.`,
    },
  );
}

function broken(what: string): CheckpointError {
  return new CheckpointError('config_json', `tokenizer.json: ${what}.`, { hint: 'Take it from its repository again.' });
}

function unknownStep(what: string, type: string): UnsupportedError {
  return new UnsupportedError(`tokenizer.json has a ${what} of the kind ${type}, which ertacache does not know.`, {
    hint: 'ertacache reads the tokenizers of CLIP, T5 and UMT5.',
  });
}
