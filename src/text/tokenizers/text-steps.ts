import { z } from 'zod';
import { CheckpointError, UnsupportedError } from '../../errors';
import { charsmapNormalizer } from './charsmap';

/** Rewrites a text before it is cut. */
export type Normalizer = (text: string) => string;

/** Cuts a text into words. @param first whether it is the beginning of the prompt */
export type Splitter = (text: string, first: boolean) => string[];

/** What stands for a space inside pieces. */
export const SPACE_MARK = '▁';

/** A step as `tokenizer.json` describes it. */
export const stepSpec = z.looseObject({ type: z.string() }).nullish();
export type StepSpec = z.infer<typeof stepSpec>;

const patternSpec = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string() })]);

/** @throws UnsupportedError for a kind of step that no T5 tokenizer has */
export function normalizerOf(spec: StepSpec): Normalizer {
  if (!spec) return text => text;
  switch (spec.type) {
    case 'Sequence': {
      const steps = fields(spec, { normalizers: z.array(stepSpec) }).normalizers.map(normalizerOf);
      return text => steps.reduce((result, step) => step(result), text);
    }
    case 'Precompiled': {
      const { precompiled_charsmap: rules } = fields(spec, { precompiled_charsmap: z.string().nullish() });
      return rules ? charsmapNormalizer(Buffer.from(rules, 'base64')) : text => text;
    }
    case 'Strip': {
      const { strip_left, strip_right } = fields(spec, { strip_left: z.boolean(), strip_right: z.boolean() });
      return text => {
        const rest = strip_left ? text.replace(/^\p{White_Space}+/u, '') : text;
        return strip_right ? stripEnd(rest) : rest;
      };
    }
    case 'Replace': {
      const { pattern, content } = fields(spec, { pattern: patternSpec, content: z.string() });
      const found = 'String' in pattern ? pattern.String : new RegExp(pattern.Regex, 'gu');
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
      return text => text.toLowerCase();
    default:
      throw unknownStep('normalizer', spec.type);
  }
}

/** @throws UnsupportedError for a kind of step that no T5 tokenizer has */
export function splitterOf(spec: StepSpec): Splitter {
  if (!spec) return text => [text];
  switch (spec.type) {
    case 'Sequence': {
      const steps = fields(spec, { pretokenizers: z.array(stepSpec) }).pretokenizers.map(splitterOf);
      return (text, first) =>
        steps.reduce((words, step) => words.flatMap((word, i) => step(word, first && i === 0)), [text]);
    }
    case 'WhitespaceSplit':
      return text => text.split(/\p{White_Space}+/u).filter(word => word !== '');
    case 'Metaspace': {
      const { replacement, prepend_scheme, add_prefix_space, split } = fields(spec, {
        replacement: z.string().default(SPACE_MARK),
        prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
        add_prefix_space: z.boolean().default(true),
        split: z.boolean().default(true),
      });
      return metaspace(replacement, prepend_scheme ?? (add_prefix_space ? 'always' : 'never'), split);
    }
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

/** Without the white space at its end. */
export function stripEnd(text: string): string {
  return text.replace(/\p{White_Space}+$/u, '');
}

function fields<Shape extends z.ZodRawShape>(spec: NonNullable<StepSpec>, shape: Shape) {
  const parsed = z.object(shape).safeParse(spec);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const message = `tokenizer.json: ${issue.path.join('.')} of the step ${spec.type}: ${issue.message}.`;
  throw new CheckpointError('config_json', message, { hint: 'Take it from its repository again.' });
}

function unknownStep(what: string, type: string): UnsupportedError {
  return new UnsupportedError(`tokenizer.json has a ${what} of the kind ${type}, which ertacache does not know.`, {
    hint: 'ertacache reads the tokenizers of CLIP, T5 and UMT5.',
  });
}
