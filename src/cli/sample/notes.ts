import type { Drawn } from '../../draw/draw';
import type { FullRequest } from '../../draw/request';
import { frameSize, type Image, imageSize, type Media } from '../../media/pixels';
import type { PipelineInfo, TextLoss } from '../../sampling/pipeline';
import { middleLeftOut, shortened } from '../../text/visible';

/** A word on a picture to begin with whose proportions are not kept; nothing where they are. */
export function stretchNote(init: Image, drawn: Media): string | undefined {
  const [given, { width, height }] = [imageSize(init), frameSize(drawn)];
  const ratio = (given.width * height) / (given.height * width);
  // Cutting to a multiple of the model's patch changes proportions by a little.
  if (ratio > 0.95 && ratio < 1.05) return undefined;
  return `The picture of ${given.width} × ${given.height} is stretched to ${width} × ${height}.\n`;
}

/** Characters of a prompt, and of what is left out of it, that are shown. */
const SHOWN_PROMPT = 40;
const SHOWN_LOSS = 300;

/** A word on what a text encoder does not read of a prompt: a line for its unknown words, one for its end. */
export function lossNote({ id }: Pick<PipelineInfo, 'id'>, loss: TextLoss): string {
  const { encoder, prompt, unknown, dropped, limit } = loss;
  // A table of words leaves out what it lacks; a tokenizer has a token for it, which says nothing.
  const [who, fate] = limit.unit === 'words' ? [id, 'left out'] : [`${encoder} of ${id}`, 'read as "unknown"'];
  const lines: string[] = [];
  if (unknown.length > 0) {
    const words = shortened(unknown.map(word => `"${word}"`).join(', '), SHOWN_LOSS);
    lines.push(`${who} does not know ${words}: ${fate}.`);
  }
  if (dropped !== '') {
    const whole = shortened(prompt, SHOWN_PROMPT);
    const rest = middleLeftOut(dropped, SHOWN_LOSS);
    lines.push(`${who} reads ${limit.count} ${limit.unit} of "${whole}"; cut off: "${rest}".`);
  }
  return lines.map(line => `${line}\n`).join('');
}

/** A word on a run that is unlike those that its policy was calibrated on. */
export function outsideNote(prompt: string): string {
  return (
    `"${shortened(prompt, SHOWN_PROMPT)}" is unlike all that the policy was calibrated on: its picture may differ more from the ` +
    'uncached one (--policy none) than the policy promises.\n'
  );
}

/** A word on a picture that was computed again. */
export function discardedNote(prompt: string, discarded: number): string {
  return `"${shortened(prompt, SHOWN_PROMPT)}" was doubtful after ${discarded} forwards, and was computed again with more.\n`;
}

/** A word on a bound that no policy has. */
export function noGuaranteeNote({ psnr, confidence }: NonNullable<FullRequest['guarantee']>): string {
  return `No policy that fits keeps ${psnr} dB with ${Number((100 * confidence).toFixed(2))} % confidence: every step is computed.\n`;
}

/** A word on a likeness that no policy reaches. */
export function allComputedNote(psnr: number): string {
  return `No policy that fits was measured to reach ${psnr} dB: every step is computed.\n`;
}

/** What a picture keeps at least, as the end of its line; nothing where nobody knows. */
export function boundNote({ bound }: Pick<Drawn, 'bound'>): string {
  if (bound === undefined) return '';
  if (bound === null) return ', no bound';
  return `, ≥ ${bound.psnr.toFixed(1)} dB with ${Math.round(100 * bound.confidence)} % confidence`;
}

/** A word on a run that no shipped policy fits. */
export function noPolicyNote({ id }: PipelineInfo, steps: number, guidance: number): string {
  return (
    `No shipped policy fits ${id} at ${steps} ${steps === 1 ? 'step' : 'steps'} and guidance ${guidance}: every step is computed. ` +
    'Make one with `ertacache calibrate`.\n'
  );
}

/** A word on a negative prompt that nobody gave. */
export function keptNegativeNote(negativePrompt: string, where: string): string {
  return `The negative prompt "${shortened(negativePrompt, SHOWN_PROMPT)}" is that of ${where}; --negative-prompt gives another.\n`;
}

type GuidanceOptions = Pick<FullRequest, 'guidance' | 'negativePrompt' | 'trueCfgScale' | 'guidanceInterval'>;

/** Settings of guidance that do nothing in a run: they are taken, as the reference takes them, but not in silence. */
export function idleNotes(request: GuidanceOptions, { defaults }: Pick<PipelineInfo, 'defaults'>): string[] {
  const { guidance = defaults.guidance, negativePrompt, trueCfgScale, guidanceInterval } = request;
  const isTrue = trueCfgScale !== undefined && trueCfgScale > 1;
  if (isTrue && negativePrompt === undefined) {
    return ['--true-cfg-scale does nothing without a --negative-prompt, which may be empty.\n'];
  }
  if (isTrue) return [];
  if (trueCfgScale !== undefined && negativePrompt !== undefined) {
    return [`--negative-prompt does nothing at --true-cfg-scale ${trueCfgScale}: true guidance acts above 1.\n`];
  }
  if (guidance > 1) return [];
  const idle = [negativePrompt !== undefined && '--negative-prompt', guidanceInterval && '--guidance-interval'];
  return idle.flatMap(option =>
    option ? [`${option} does nothing at guidance 1, which turns the steering off.\n`] : [],
  );
}
