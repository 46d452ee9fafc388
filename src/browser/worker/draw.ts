import { type Drawn, type DrawOptions, draw, repeat } from '../../draw/draw';
import type { Request } from '../../draw/request';
import { UsageError } from '../../errors';
import type { Policy } from '../../policy/data';
import { policyHash } from '../../policy/hash';
import { type NamedPolicy, policyInfo, readPolicyFiles } from '../load/policies';
import { fromPlainMedia, toPlainMedia } from '../plain-media';
import type { Calls, Drawing, PlainResult, Wanted } from '../protocol';
import type { BackendInfo, DrawRequest } from '../types';
import { bitmapsOf } from './bitmaps';
import { encodeFile } from './encode';
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
  const begun = given && (await begunWith(given));
  const named = await namedPolicy({ pipeline, policies }, asked, rest);
  const policy = named?.policy;
  const full = {
    ...rest,
    model: pipeline.info.id,
    policy: asked === 'none' ? 'none' : 'auto',
    ...(begun && { init: begun.init }),
    // A policy is for one number of steps and one guidance.
    ...(policy && {
      steps: rest.steps ?? policy.data.schedule.length,
      guidance: rest.guidance ?? policy.data.guidance,
    }),
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
  if ('json' in asked) return readPolicyFiles(asked);
  const made = handMade(pipeline, asked, run);
  return made && { name: made.data.name, policy: made };
}

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
  const used = policy && (named ?? policies.all.find(isSame(policy)) ?? { name: policy.data.name, policy });
  const info = used && policyInfo(used);
  const plain = { receipt, policy: info, seconds, forwards, schedule, textLoss, backend, fps };
  if (as === 'file') return { ...plain, media: await encodeFile(media, { format, receipt, fps }) };
  return { ...plain, media: as === 'bitmap' ? await bitmapsOf(media) : toPlainMedia(media) };
}

const isSame = (policy: Policy): ((other: NamedPolicy) => boolean) => {
  const hash = policyHash(policy);
  return other => policyHash(other.policy) === hash;
};

/** Encodes pixels that the page holds. */
export function encodeFor({ media, ...options }: Calls['encode']['asked']) {
  return encodeFile(fromPlainMedia(media), options);
}
