/*
 * What requests may say: one schema gives the check, the type and the document. The names are those of OpenAI's
 * interface; what that lacks are the fields of `draw`, with underscores.
 */
import { z } from '@hono/zod-openapi';
import { budgetFields, drawnFields } from '../../draw/request';
import { count, MOST } from '../../io/counts';
import { guaranteeOf } from '../../policy/guarantee-text';
import { seedOf } from '../../random/seed';
import { MAX_PROMPT } from '../../text/prompt-length';
import { MOST_PICTURES, MOST_PREVIEWS } from '../jobs/order';

const prompt = z
  .string({ error: ({ input }) => (input === undefined ? 'it is missing' : 'must be a text') })
  .min(1, 'it is empty')
  .max(MAX_PROMPT, `must have at most ${MAX_PROMPT} characters`);

/** A name that is looked up, and never a path. */
const name = z.string().regex(/^[\w.-]{1,128}$/, 'must be a name of letters, digits, dots and dashes');

const size = z
  .string()
  .regex(/^(auto|[1-9]\d{0,5}x[1-9]\d{0,5})$/, 'must be auto, or WIDTHxHEIGHT such as 1024x1024')
  .describe('`WIDTHxHEIGHT`, or `auto` for what the model usually draws');

const seed = z
  .union([z.number(), z.string()])
  .refine(value => seedOf(value) !== undefined, 'must be a whole number from 0 to 18446744073709551615')
  .describe('PyTorch draws the same noise from it. Unless given, one is drawn and told.');

/** What interfaces of this kind have and nothing here depends on. */
const ignored = z.string().max(64).nullish().describe('Taken, and without effect.');

const background = z
  .string()
  .max(64)
  .refine(value => value !== 'transparent', 'must be auto or opaque: no picture is drawn transparent')
  .nullish()
  .describe('Without effect: pictures are opaque. `transparent` is refused.');

/** How something is drawn: the same for pictures and clips. */
const drawing = {
  prompt: prompt.describe('What to draw.'),
  model: name.optional().describe('The name of a model; `GET /v1/models` lists them.'),
  size: size.nullish(),
  user: z.string().max(256).nullish().describe('Whoever it is for. It is not kept; in a queue, users take turns.'),
  seed: seed.nullish(),
  steps: count(MOST.steps).nullish().describe("Denoising steps; the model's usual number unless given."),
  guidance: z.number().min(0).max(1000).nullish().describe('Strength of classifier-free guidance; 1 turns it off.'),
  negative_prompt: z.string().max(MAX_PROMPT).nullish().describe('What to steer away from.'),
  true_cfg_scale: drawnFields.trueCfgScale
    .nullish()
    .describe('FLUX: true guidance from a second call a step; acts above 1, with a negative prompt.'),
  guidance_2: drawnFields.guidance2
    .nullish()
    .describe('Wan2.2: strength of guidance of the second expert; that of the first unless given.'),
  guidance_interval: drawnFields.guidanceInterval
    .nullish()
    .describe('From and to where on the way from noise, 0, to picture, 1, guidance acts.'),
  shift: drawnFields.shift
    .nullish()
    .describe("Spends more steps at high noise, above 1, or fewer, in place of the model's own shift."),
  policy: name
    .nullish()
    .describe('`auto` for the policy that fits, `none` to compute every step, or the name of one that the server has.'),
  forwards: count(MOST.steps)
    .nullish()
    .describe('At most so many forward passes are computed, by the policy of that budget.'),
  speedup: budgetFields.speedup.nullish().describe('At most one step in so many is computed.'),
  psnr: budgetFields.psnr
    .nullish()
    .describe('The fewest forward passes whose mean PSNR, in dB, was measured to reach this.'),
  guarantee: z
    .string()
    .transform((text, context) => {
      const found = guaranteeOf(text);
      if (found) return found;
      context.addIssue({ code: 'custom', message: 'must be decibels and a confidence, such as 40dB@90%' });
      return z.NEVER;
    })
    .nullish()
    .openapi({ type: 'string', example: '40dB@90%' })
    .describe(
      'The fewest forward passes whose pictures keep so many dB with this confidence; doubtful ones are computed again with more.',
    ),
  scale: count(MOST.scale).nullish().describe('Enlarges the picture this many times, pixel by pixel.'),
} as const;

const picture = {
  ...drawing,
  n: count(MOST_PICTURES).nullish().describe('Pictures, with seeds counted up.'),
  output_format: z.enum(['png', 'jpeg', 'webp']).nullish().describe('`png` unless given.'),
  output_compression: z
    .number()
    .min(0)
    .max(100)
    .nullish()
    .describe('Quality of JPEG and WebP, from smallest to best; WebP of 100 is lossless.'),
  background,
  moderation: ignored,
  quality: ignored,
  style: ignored,
} as const;

const answered = {
  response_format: z.enum(['b64_json', 'url']).nullish().describe('`b64_json` unless given.'),
  stream: z.boolean().nullish().describe('Answers with server-sent events.'),
  partial_images: z.int().min(0).max(MOST_PREVIEWS).nullish().describe('Previews of each picture, in a stream.'),
} as const;

export const imageBody = z.object({ ...picture, ...answered }).openapi('ImageRequest');

export const editBody = z
  .object({
    ...picture,
    ...answered,
    image: z
      .custom<File>(value => value instanceof File, 'must be a file')
      .openapi({ type: 'string', format: 'binary' }),
    strength: z.number().min(0).max(1).nullish().describe('How much of the picture is drawn anew; 0.6 unless given.'),
    input_fidelity: ignored,
  })
  .openapi('ImageEditRequest');

export const videoBody = z
  .object({
    ...drawing,
    seconds: z
      .union([z.number(), z.string().regex(/^\d{1,4}(\.\d{1,3})?$/, 'must be a number of seconds')])
      .transform(Number)
      .pipe(z.number().positive().max(3600))
      .nullish()
      .describe('Length; the number of frames that comes nearest to it is drawn.'),
    frames: count(MOST.frames).nullish().describe('Frames, in place of the length.'),
    output_format: z.enum(['mp4', 'webp', 'gif']).nullish().describe('`mp4` unless given.'),
    output_compression: z.number().min(0).max(100).nullish().describe('Quality, from smallest to best.'),
    input_reference: z.unknown().optional().openapi({ type: 'string', format: 'binary' }),
  })
  .openapi('VideoRequest');

/** An id that a client makes itself. */
const ownId = z.string().regex(/^[\w-]{8,64}$/, 'must have 8 to 64 letters, digits and dashes');

export const jobBody = z
  .object({
    ...picture,
    id: ownId.nullish().describe('An id of your own: asked for twice, it is drawn once.'),
    output_format: z.enum(['png', 'jpeg', 'webp', 'mp4', 'gif']).nullish(),
    seconds: videoBody.shape.seconds,
    frames: videoBody.shape.frames,
  })
  .openapi('JobRequest');

export type ImageBody = z.output<typeof imageBody>;
export type EditBody = z.output<typeof editBody>;
export type VideoBody = z.output<typeof videoBody>;
export type JobBody = z.output<typeof jobBody>;

export const errorSchema = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .openapi('Error');
