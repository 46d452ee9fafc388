import type { Budget } from '../../policy/budget';
import { randomSeed, seedJson, seedOf } from '../../random/seed';
import type { Catalog, ServedModel } from '../catalog';
import { Refusal } from '../jobs/faults';
import { type Order, orderSchema } from '../jobs/order';
import { type Limits, requireWithin } from '../limits';
import type { EditBody, ImageBody, JobBody, VideoBody } from './schemas';

/** What bodies become orders with. */
export interface OrderContext {
  readonly catalog: Catalog;
  readonly limits: Limits;
}

/** An order as a body asks for it. */
export interface Ordered {
  readonly order: Order;
  /** Whether the body gives a seed. */
  readonly hasSeed: boolean;
  /** Whoever it is for. */
  readonly user?: string | undefined;
  readonly model: ServedModel;
}

/** Fields that say how much is computed. */
const BUDGET = ['forwards', 'speedup', 'psnr', 'guarantee'] as const;

/** What all bodies share, and what they add to an order. */
type Body = Pick<ImageBody, 'prompt' | 'model' | 'size' | 'seed' | 'steps' | 'guidance' | 'negative_prompt'> &
  Pick<ImageBody, 'true_cfg_scale' | 'guidance_2' | 'guidance_interval' | 'shift'> &
  Pick<ImageBody, 'policy' | (typeof BUDGET)[number] | 'scale' | 'output_compression' | 'user'>;

/** The order for pictures. */
export function imageOrder(context: OrderContext, body: ImageBody): Ordered {
  const { n, output_format: format, partial_images: previews, stream } = body;
  const model = modelOf(context, body.model, 'image');
  return ordered(context, body, model, {
    count: n ?? 1,
    format: format ?? 'png',
    previews: stream ? (previews ?? 0) : 0,
  });
}

/** The order for pictures that begin with one. @param sha256 of the picture */
export function editOrder(context: OrderContext, body: EditBody, sha256: string): Ordered {
  const { n, output_format: format, partial_images: previews, stream, strength } = body;
  const model = modelOf(context, body.model, 'image');
  return ordered(context, body, model, {
    count: n ?? 1,
    format: format ?? 'png',
    previews: stream ? (previews ?? 0) : 0,
    picture: { sha256, strength: strength ?? undefined },
  });
}

/** The order for a clip. */
export function videoOrder(context: OrderContext, body: VideoBody): Ordered {
  const { output_format: format, frames, seconds } = body;
  const model = modelOf(context, body.model, 'clip');
  if (body.input_reference !== undefined && body.input_reference !== '') {
    throw new Refusal(400, 'unsupported', `${model.id} draws clips, and cannot begin with a picture.`, {
      param: 'input_reference',
    });
  }
  return ordered(context, body, model, {
    count: 1,
    format: format ?? 'mp4',
    previews: 0,
    frames: frames ?? undefined,
    seconds: seconds ?? undefined,
  });
}

/** The order for a job, of pictures or a clip as its model draws them. */
export function jobOrder(context: OrderContext, body: JobBody): Ordered {
  const { n, output_format: format, frames, seconds } = body;
  const model = body.model === undefined ? modelOf(context, undefined, 'image') : context.catalog.model(body.model);
  const isClip = model.kind === 'clip';
  if (!isClip && (format === 'mp4' || format === 'gif')) {
    throw new Refusal(400, 'invalid_value', `${model.id} draws pictures, which are written as png, jpeg or webp.`, {
      param: 'output_format',
    });
  }
  if (isClip && (format === 'png' || format === 'jpeg')) {
    throw new Refusal(400, 'invalid_value', `${model.id} draws clips, which are written as mp4, webp or gif.`, {
      param: 'output_format',
    });
  }
  return ordered(context, body, model, {
    count: n ?? 1,
    format: format ?? (isClip ? 'mp4' : 'png'),
    previews: 0,
    frames: frames ?? undefined,
    seconds: seconds ?? undefined,
  });
}

function modelOf({ catalog }: OrderContext, id: string | undefined, kind: ServedModel['kind']): ServedModel {
  const model = id === undefined ? catalog.first(kind) : catalog.model(id);
  if (!model) throw new Refusal(404, 'model_not_found', `No model here draws ${kind}s.`, { param: 'model' });
  if (model.kind === kind) return model;
  const [draws, path] = model.kind === 'clip' ? ['clips', '/v1/videos'] : ['pictures', '/v1/images/generations'];
  throw new Refusal(400, 'wrong_model', `${model.id} draws ${draws}: ask for them at ${path}.`, { param: 'model' });
}

interface How {
  readonly count: number;
  readonly format: Order['output']['format'];
  readonly previews: number;
  readonly picture?: { readonly sha256: string; readonly strength: number | undefined };
  readonly frames?: number | undefined;
  readonly seconds?: number | undefined;
}

function ordered({ limits }: OrderContext, body: Body, model: ServedModel, how: How): Ordered {
  const { policy } = body;
  const budget = budgetOfBody(body);
  const seed = body.seed === undefined || body.seed === null ? undefined : seedOf(body.seed);
  const quality = body.output_compression;
  const order = orderSchema.safeParse({
    request: {
      model: model.id,
      prompt: body.prompt,
      negativePrompt: body.negative_prompt ?? undefined,
      seed: seedJson(seed ?? randomSeed()),
      steps: body.steps ?? undefined,
      guidance: body.guidance ?? undefined,
      trueCfgScale: body.true_cfg_scale ?? undefined,
      guidance2: body.guidance_2 ?? undefined,
      guidanceInterval: body.guidance_interval ?? undefined,
      shift: body.shift ?? undefined,
      policy: policy ?? 'auto',
      ...budget,
      scale: body.scale ?? 1,
      size: sizeOf(body.size, how.frames, model),
      init: how.picture && { path: 'image', ...how.picture },
    },
    count: how.count,
    output: { format: how.format, quality: typeof quality === 'number' ? Math.max(1, quality) : undefined },
    previews: how.previews,
    seconds: how.frames === undefined && !isUsualLength(how.seconds, model) ? how.seconds : undefined,
    picture: how.picture?.sha256,
  });
  if (!order.success) {
    const [issue] = order.error.issues;
    throw new Refusal(400, 'invalid_value', `The request is wrong: ${issue?.message}.`);
  }
  const { request, seconds } = order.data;
  const length = seconds && { size: { ...request.size, frames: framesIn(seconds, model) } };
  requireWithin(limits, { ...request, ...length }, model);
  requireItsSize(order.data, model);
  return { order: order.data, hasSeed: seed !== undefined, user: body.user ?? undefined, model };
}

/** How much is to be computed. @throws Refusal where two fields say it */
function budgetOfBody(body: Body): Budget {
  const given = BUDGET.filter(name => body[name] !== undefined && body[name] !== null);
  const [first, second] = body.policy === 'none' ? ['policy', ...given] : given;
  if (second !== undefined) {
    const message = `${first} and ${second} both say what is computed: give one of them.`;
    throw new Refusal(400, 'invalid_value', message, { param: second });
  }
  return Object.fromEntries(given.map(name => [name, body[name]]));
}

/** @throws Refusal for another size or length than the only one that the model draws */
function requireItsSize({ request: { size }, seconds }: Order, { id, kind, isOneSize }: ServedModel): void {
  if (!isOneSize || (size === undefined && seconds === undefined)) return;
  const draws = kind === 'clip' ? 'clips of one size and length' : 'pictures of one size';
  const param = size?.width !== undefined ? 'size' : seconds === undefined ? 'frames' : 'seconds';
  throw new Refusal(400, 'unsupported', `${id} draws ${draws}. Omit the ${param}.`, { param });
}

/** No family has more frames a second. */
const MOST_FPS = 24;

const framesIn = (seconds: number, { fps = MOST_FPS }: ServedModel): number => Math.max(1, Math.round(seconds * fps));

/** Whether a length is that of the clips which the model draws anyway. */
const isUsualLength = (seconds: number | undefined, model: ServedModel): boolean =>
  seconds !== undefined && model.fps !== undefined && framesIn(seconds, model) === model.size.frames;

/** The size that is asked for, where it is not the one that the model draws anyway. */
function sizeOf(size: string | null | undefined, frames: number | undefined, model: ServedModel) {
  const [width, height] = size && size !== 'auto' ? size.split('x').map(Number) : [];
  const asked = { ...(width !== undefined && { width, height }), ...(frames !== undefined && { frames }) };
  const isUsual = Object.entries(asked).every(([side, value]) => model.size[side as keyof typeof asked] === value);
  return isUsual ? undefined : asked;
}
