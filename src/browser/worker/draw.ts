import { type Drawn, type DrawOptions, draw, repeat } from '../../draw/draw';
import type { Request } from '../../draw/request';
import { UsageError } from '../../errors';
import type { Policy } from '../../policy/data';
import { policyHash } from '../../policy/hash';
import { budgetName, type NamedPolicy, policyInfo, readPolicyFiles, type Shelf } from '../load/policies';
import { fromPlainMedia, toPlainMedia } from '../plain-media';
import type { Calls, Drawing, PlainResult, Wanted } from '../protocol';
import type { BackendInfo, DrawRequest, HandMade } from '../types';
import { bitmapsOf } from './bitmaps';
import { encodeFile, requireWanted } from './encode';
import { handMade } from './hand-made';
import { begunWith } from './picture';
import type { Entry, Job } from './session';

/** Draws what a page asks for. */
export async function drawFor(
  { pipeline, policies }: Entry,
  { request, wanted }: Calls['draw']['asked'],
  backend: BackendInfo,
  job: Job<Drawing>,
): Promise<PlainResult> {
  const { policy: asked = 'auto', model: _, init: given, ...rest } = request;
  await requireWanted(wanted, pipeline.info, rest.size?.frames);
  const begun = given && (await begunWith(given));
  const named = await namedPolicy({ pipeline, policies }, asked, rest);
  const policy = named?.policy;
  const schedule = isHandMade(asked) ? asked.schedule : policy?.data.schedule;
  const full = {
    ...rest,
    model: pipeline.info.id,
    // A schedule made by hand may compute every step: then there is no policy.
    policy: asked === 'none' || (isHandMade(asked) && !policy) ? 'none' : 'auto',
    ...(begun && { init: begun.init }),
    // A policy is for one number of steps and one guidance.
    ...(schedule !== undefined && { steps: rest.steps ?? schedule.length }),
    ...(policy && { guidance: rest.guidance ?? policy.data.guidance }),
  };
  const drawn = await draw(full as Request, {
    model: pipeline,
    policies: policies.source(),
    ...(policy && { policy }),
    ...(begun && { init: begun.image }),
    ...(await watching(wanted, job)),
  });
  return resultOf(drawn, named, { pipeline, policies }, wanted, backend);
}

/** Draws the picture of a receipt again. */
export async function repeatFor(
  { pipeline, policies }: Entry,
  { receipt, wanted }: Calls['repeat']['asked'],
  backend: BackendInfo,
  job: Job<Drawing>,
): Promise<PlainResult> {
  if (receipt.init) {
    throw new UsageError('The picture began with another picture, which is not in its receipt.', {
      hint: 'Repeat it where that picture is: ertacache sample --from.',
    });
  }
  await requireWanted(wanted, pipeline.info, receipt.size?.frames);
  const options = { model: pipeline, policies: policies.source(), ...(await watching(wanted, job)) };
  const drawn = await repeat(receipt, options);
  return resultOf(drawn, undefined, { pipeline, policies }, wanted, backend);
}

/** The policy that a request names, its files, or its schedule; nothing for `auto` and `none`. */
async function namedPolicy(
  { pipeline, policies }: Entry,
  asked: NonNullable<DrawRequest['policy']>,
  run: Omit<DrawRequest, 'policy' | 'init' | 'model'>,
): Promise<NamedPolicy | undefined> {
  if (asked === 'auto' || asked === 'none') return undefined;
  if (typeof asked === 'string') return policies.find(asked);
  if (!isHandMade(asked)) return readPolicyFiles(asked);
  const made = handMade(pipeline, asked, run);
  return made && { name: made.data.name, policy: made };
}

const isHandMade = (asked: NonNullable<DrawRequest['policy']>): asked is HandMade =>
  typeof asked === 'object' && !('json' in asked);

/** Tells the page of steps and previews. */
async function watching(
  { previews }: Wanted,
  { signal, tell }: Job<Drawing>,
): Promise<Pick<DrawOptions, 'signal' | 'onStep' | 'previews'>> {
  let [forwards, seconds] = [0, 0];
  return {
    signal,
    onStep({ index, steps, decisions, forwards: cost, seconds: time }) {
      forwards += cost;
      seconds += time;
      tell('step', { step: index + 1, steps, computed: decisions.includes('compute'), forwards, seconds });
    },
    ...(previews > 0 && {
      previews: {
        count: { every: previews },
        show(media, index) {
          const plain = toPlainMedia(media);
          tell('preview', { step: (index + 1) * previews, media: plain }, [plain.data.buffer]);
        },
      },
    }),
  };
}

async function resultOf(
  { media, receipt, policy, seconds, forwards, schedule, textLoss }: Drawn,
  named: NamedPolicy | undefined,
  { pipeline, policies }: Entry,
  { as, format }: Wanted,
  backend: BackendInfo,
): Promise<PlainResult> {
  const { fps } = pipeline.info;
  const info = policy && policyInfo(calledAs(policy, named, policies));
  const plain = { receipt, policy: info, seconds, forwards, schedule, textLoss, backend, fps };
  if (as === 'file') return { ...plain, media: await encodeFile(media, { format, receipt, fps }) };
  return { ...plain, media: as === 'bitmap' ? await bitmapsOf(media) : toPlainMedia(media) };
}

/** The policy that was used and its name: of the one that was asked for it may be another budget. */
function calledAs(policy: Policy, named: NamedPolicy | undefined, { all }: Shelf): NamedPolicy {
  const hash = policyHash(policy);
  const found = [...(named ? [named] : []), ...all].find(other => policyHash(other.policy) === hash);
  return found ?? { name: named ? budgetName(named, policy) : policy.data.name, policy };
}

/** Encodes pixels that the page holds. */
export function encodeFor({ media, ...options }: Calls['encode']['asked']) {
  return encodeFile(fromPlainMedia(media), options);
}
