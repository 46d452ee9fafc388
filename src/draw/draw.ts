import { type Bound, noBound } from '../cache/bound';
import type { CachePolicy } from '../cache/policy';
import { activeKind, activeName } from '../engine/active-kind';
import { UsageError } from '../errors';
import { isObject, requireList, requireObject, requireSignal } from '../io/arguments';
import { given } from '../io/given';
import { sha256 } from '../io/sha256';
import { enlarged, type Image, imageSize, type Media, toBytes } from '../media/pixels';
import { kernelLevel, withKernels } from '../nn/wasm/run';
import { allowsAll, type Budget, isBudget, withinBudget } from '../policy/budget';
import { type Policy, type PolicyUse, requireFits } from '../policy/data';
import { hasLorasOf, noteOtherLoras } from '../policy/loras';
import { requireCaching } from '../policy/require-policy';
import { type Chosen, type PolicySource, policiesInMemory } from '../policy/source';
import { seedJson } from '../random/seed';
import type { CheckpointStore } from '../sampling/checkpoint';
import { DEFAULT_STRENGTH } from '../sampling/initial-picture';
import { requirePipeline } from '../sampling/lifetime';
import type { BatchRequest, DecodeOptions, Pipeline, PipelineInfo, TextLoss } from '../sampling/pipeline';
import { policyUse } from '../sampling/policy-use';
import type { Previews } from '../sampling/previews';
import { type RunResult, runJob } from '../sampling/run-job';
import type { LoopOptions } from '../sampling/sample-loop';
import { VERSION } from '../version';
import { requireAlike } from './alike';
import { budgetOf, cacheOf, choosePolicy, policyOfReceipt, policyReceipt } from './choose-policy';
import { drawGuaranteed } from './guaranteed';
import { ownBound } from './own-bound';
import { parseReceipt, type Receipt, requestOf } from './receipt';
import { type FullRequest, parseRequest, type Request } from './request';
import { type RunFacts, runId } from './run-id';

/** With what, and how, a request is drawn. */
export interface DrawOptions extends Omit<LoopOptions, 'checkpoints'> {
  /** The loaded model. It stays the caller's, and serves any number of requests. */
  readonly model: Pipeline;
  /** Where policies are looked for; those that ship with the package by default, in browsers none. */
  readonly policies?: PolicySource | undefined;
  /** A policy or a caching method in place of the one that the request names. */
  readonly policy?: Policy | CachePolicy | undefined;
  /** The picture to begin with: the one that `request.init` names, read by the caller, or any other. */
  readonly init?: Image | undefined;
  /** Pictures that are shown on the way, each as large as the picture itself. */
  readonly previews?: Previews | undefined;
  /**
   * Where checkpoints are kept: a run that was killed goes on at its last one and ends with the bytes of an uninterrupted
   * one. They are told apart by `runOf`; of a method of your own, which is told by its name alone, keep them apart yourself.
   * The last one stays until `forget` of what was drawn is called, when the picture is safe.
   */
  readonly checkpoint?: CheckpointStore | undefined;
  /** Called after every part of the decoder's work. */
  readonly onDecode?: DecodeOptions['onProgress'] | undefined;
}

/** A picture or a clip, and how it was made. */
export interface Drawn extends Omit<RunResult, 'media' | 'outside' | 'bound'> {
  /** The picture or the clip, enlarged as the request asks. */
  readonly media: Media;
  /** How it was made; `repeat` makes it again. */
  readonly receipt: Receipt;
  /** What identifies the run: equal ones give the same bytes. */
  readonly run: string;
  /**
   * Removes the run's checkpoint, where there is one: call it when the picture is safe.
   * @returns when it is gone
   */
  forget(): Promise<void>;
  /** The calibrated policy that was used, where one was. */
  readonly policy: Policy | undefined;
  /**
   * Whether the run is unlike all that the policy was calibrated on, as its receipt says too: what the policy was measured
   * at says nothing of it then. Absent where nobody can tell.
   */
  readonly outside?: boolean | undefined;
  /**
   * What the PSNR of the 8-bit pixels to those of the uncached picture is at least, and with what confidence, as its receipt
   * says too; null for a run that is unlike those that this was measured on. Absent where the policy has no bound.
   */
  readonly bound?: Bound | null | undefined;
  /** Forward passes of pictures that were not sure enough of what was to be kept, and were computed again with more. */
  readonly discarded?: number | undefined;
  /** What the text encoders did not read of the prompt: words that they do not know, and an end that did not fit. */
  readonly textLoss: readonly TextLoss[];
}

/**
 * Draws one picture or clip: chooses the policy, checks it, samples, and says how it was made.
 * @param request the prompt, and what is not to be as usual for the model
 * @param options the model, and where policies are looked for
 * @returns the picture or clip, its receipt, and what the run cost
 * @throws UsageError for a request that is wrong, PolicyError for a policy that does not fit, InterruptedError when
 *   `signal` is aborted, and what the model throws for sizes it cannot draw
 * @example
 * const model = await loadModel('fluent-emoji');
 * const { media, receipt } = await draw({ prompt: 'red heart', seed: 1 }, { model });
 */
export async function draw(request: Request, options: DrawOptions): Promise<Drawn> {
  const [drawn] = await drawBatch([request], options);
  return drawn as Drawn;
}

/**
 * Draws several pictures or clips in one sampling loop, which takes less time for each where the model is small. Each
 * is the one that `draw` makes of its request, with a receipt of its own; see `docs/serve.md` for how near.
 * @param requests they may differ in prompt, seed and scale
 * @param options the model, and where policies are looked for; `init` is for all of them
 * @returns one picture or clip for each request, in their order; what the run cost is that of all together
 * @throws UsageError for requests that are wrong or not alike, and for a method that decides while it draws; what
 *   `draw` throws
 * @example
 * const model = await loadModel('fluent-emoji');
 * const [heart, lion] = await drawBatch([{ prompt: 'red heart' }, { prompt: 'lion', seed: 1 }], { model });
 */
export async function drawBatch(requests: readonly Request[], options: DrawOptions): Promise<Drawn[]> {
  requireList('requests', requests, isObject, 'a list of requests, such as [{ prompt: "red heart" }]');
  const all = requests.map(parseRequest);
  // What is drawn again is a part of the rows, and was shown once.
  const drawRows = (rows: readonly FullRequest[], isFirst = true): Promise<Drawn[]> =>
    drawWith(rows, isFirst ? options : { ...options, previews: undefined }, (use, policies) =>
      choosePolicy(rows[0] as FullRequest, use, policies),
    );
  if (!all[0]?.guarantee) return drawRows(all);
  requireAlike(all);
  return drawGuaranteed(all, all[0].guarantee, drawRows);
}

/**
 * What identifies the run of a request: its checkpoints are kept under it, and equal ones give the same bytes. Models of
 * a folder are not loaded for it.
 * @param request the prompt, and what is not to be as usual for the model
 * @param options those that `draw` will get
 * @returns 64 hexadecimal digits
 * @throws UsageError and PolicyError as `draw` does
 */
export async function runOf(request: Request, options: DrawOptions): Promise<string> {
  const full = parseRequest(request);
  requireOptions(options);
  const plan = await planOf([full], options, (use, policies) => choosePolicy(full, use, policies));
  return runId(plan.facts[0] as RunFacts);
}

/** Characters of a model's hash that tell two versions apart. */
const SHOWN_OF_HASH = 12;

/**
 * Draws the picture of a receipt again, with the very policy that made it: bit for bit on the same backend.
 * @param receipt what `draw` returned, or a file's receipt as JSON
 * @param options the model, and where the receipt's policy is looked for
 * @returns the same picture or clip, with a new receipt
 * @throws UsageError when the model is another version, PolicyError when the policy is no longer there
 * @example
 * const { receipt } = await draw({ prompt: 'red heart', seed: 1 }, { model });
 * const again = await repeat(receipt, { model });
 */
export async function repeat(receipt: Receipt, options: DrawOptions): Promise<Drawn> {
  const parsed = parseReceipt(receipt, 'the given object');
  requireOptions(options);
  const { model } = parsed;
  if (model.hash !== options.model.info.hash) {
    const [theirs, ours] = [model.hash, options.model.info.hash].map(hash => hash.slice(0, SHOWN_OF_HASH));
    throw new UsageError(
      `The picture was made with another version of the model "${model.id}": with ${theirs}, and this one is ${ours}.`,
      { hint: 'Use the model that it was made with; one that shipped with ertacache is in the version that made it.' },
    );
  }
  requireMerged(parsed.loras ?? [], options.model.info);
  const work = (): Promise<Drawn[]> =>
    drawWith([requestOf(parsed)], options, (use, policies) =>
      policyOfReceipt(parsed, use, policies, options.model.info.modelClass),
    );
  const isWasm = parsed.backend === 'wasm' && activeKind() === 'wasm';
  const [drawn] = await (isWasm ? withKernels(parsed.kernels, work) : work());
  return drawn as Drawn;
}

/**
 * The run that a request makes of a model, as policies are checked against it. Nothing is loaded and nothing encoded.
 * @param request a request with its defaults filled in
 * @param options the model, and the picture to begin with
 * @returns model, scheduler, guidance and noise levels
 * @throws UsageError where the picture to begin with was not given
 */
export function useOf(request: FullRequest, { model, init }: Pick<DrawOptions, 'model' | 'init'>): PolicyUse {
  const batch = batchOf(request, model, init);
  return policyUse(model.info, batch.guidance, model.schedule(batch));
}

/**
 * The request of one row that a pipeline takes.
 * @param request a request with its defaults filled in
 * @param model the pipeline that is asked
 * @param init the picture to begin with
 * @returns the pipeline's request
 * @throws UsageError where the picture to begin with was not given
 */
export function batchOf(request: FullRequest, { info }: Pipeline, init?: Image): BatchRequest {
  const { prompt, seed, negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift, size, maxSequenceLength } =
    request;
  if (request.init && !init) {
    throw new UsageError(`The picture ${request.init.path} that the request begins with was not given.`, {
      hint: 'Give its pixels as the option init.',
    });
  }
  const strength = request.init?.strength ?? DEFAULT_STRENGTH;
  return {
    prompts: [prompt],
    seeds: [seed],
    steps: request.steps ?? info.defaults.steps,
    guidance: request.guidance ?? info.defaults.guidance,
    negativePrompt,
    trueCfgScale,
    guidance2,
    guidanceInterval,
    shift,
    size: size && Object.keys(size).length > 0 ? size : undefined,
    maxSequenceLength,
    init: init && { image: init, strength },
  };
}

function requireOptions(options: DrawOptions): void {
  requireObject('options', options, 'an object with a loaded model');
  requirePipeline('model', options.model);
  if (options.policy !== undefined) requireCaching('policy', options.policy);
  if (options.init !== undefined) imageSize(options.init);
  requireSignal('signal', options.signal);
}

type Choose = (use: PolicyUse, policies: PolicySource) => Promise<Chosen | undefined>;

async function drawWith(requests: readonly FullRequest[], options: DrawOptions, choose: Choose): Promise<Drawn[]> {
  requireOptions(options);
  requireAlike(requests);
  const request = requests[0] as FullRequest;
  const { model, signal, onStep, onResume, onDecode, estimate, previews, checkpoint } = options;
  for (const each of requests) requireEnlargeable(each, each.size);
  if (request.loras) requireMerged(request.loras, model.info);
  requireComputed(request, model.info);
  const { rows, batch, cache, policy, facts } = await planOf(requests, options, choose);
  requireEachAlone(cache, requests.length);
  const runs = facts.map(runId);
  const together = runs.length === 1 ? (runs[0] as string) : sha256(runs.join());
  const textLosses = await Promise.all(rows.map(row => model.textLoss(row)));
  const job = await model.prepare(batch, { signal });
  try {
    for (const each of requests) requireEnlargeable(each, job.size);
    const scaleOf = (row: number): number => requests[row]?.scale ?? 1;
    const { media, outside, bound, ...made } = await runJob(model, job, cache, {
      signal,
      onStep,
      onResume,
      checkpoints: checkpoint && { store: checkpoint, run: together },
      onDecode,
      estimate,
      previews: previews && {
        ...previews,
        show: (media, index, row) => previews.show(enlarged(media, scaleOf(row)), index, row),
      },
    });
    const { schedule, forwards } = made;
    const boundAt = (row: number): Bound | null =>
      policy ? ownBound(bound?.[row], requests[row] as FullRequest, policy, model.info) : null;
    return facts.map((own, row) => ({
      ...made,
      run: runs[row] as string,
      forget: async () => checkpoint?.remove(together),
      media: enlarged(media[row] as Media, scaleOf(row)),
      receipt: {
        ...{ ...own, schedule, forwards },
        ...(outside?.[row] && { outside: true as const }),
        ...(bound && { bound: boundAt(row) }),
      },
      outside: outside?.[row],
      ...(bound && { bound: boundAt(row) }),
      policy,
      textLoss: textLosses[row] as readonly TextLoss[],
    }));
  } finally {
    job.release();
  }
}

/** Prompts and seeds of all rows. */
function joined(rows: readonly BatchRequest[]): Pick<BatchRequest, 'prompts' | 'seeds'> {
  return { prompts: rows.flatMap(({ prompts }) => prompts), seeds: rows.flatMap(({ seeds }) => seeds) };
}

/** @throws UsageError where a method would decide for all pictures of a batch by what it sees of them together */
function requireEachAlone({ name, isDynamic = false }: CachePolicy, rows: number): void {
  if (rows === 1 || !isDynamic) return;
  throw new UsageError(`${name} decides for each picture while it is drawn, and so draws no batch.`, {
    hint: 'Draw the pictures one by one, or take a method with a schedule.',
  });
}

/** What is known of a run before anything is encoded: a policy that does not fit should not cost minutes. */
interface Plan extends Pick<CacheFor, 'cache' | 'policy'> {
  readonly rows: readonly BatchRequest[];
  readonly batch: BatchRequest;
  /** One for each request. */
  readonly facts: readonly RunFacts[];
}

/** @param requests at least one; all of them alike */
async function planOf(requests: readonly FullRequest[], options: DrawOptions, choose: Choose): Promise<Plan> {
  const { model, policies = policiesInMemory(), init } = options;
  const rows = requests.map(each => batchOf(each, model, init));
  const batch = { ...(rows[0] as BatchRequest), ...joined(rows) };
  const use = policyUse(model.info, batch.guidance, model.schedule(batch));
  const asked = budgetOf(requests[0] as FullRequest);
  const own = options.policy && withBudget(options.policy, asked, use);
  const { cache, policy, said } = await cacheFor(own, use, async () =>
    options.policy ? undefined : choose(use, policies),
  );
  return { rows, batch, cache, policy, facts: requests.map(each => factsOf(each, batch, model.info, said)) };
}

/** The number type is chosen when the model is loaded. */
function requireComputed({ dtype }: FullRequest, { id, dtype: own = 'float32' }: PipelineInfo): void {
  if (dtype === undefined || dtype === own) return;
  throw new UsageError(`The run is in ${dtype}, and ${id} was loaded in ${own}.`, {
    hint: 'Load the model with the same type: loadModel(path, { dtype }).',
  });
}

/** The LoRAs that are asked for are those that were merged when the model was loaded. */
function requireMerged(asked: NonNullable<FullRequest['loras']>, { id, loras = [] }: PipelineInfo): void {
  const isMerged = ({ scale, sha256, component }: (typeof asked)[number], i: number): boolean =>
    loras[i]?.scale === scale &&
    loras[i].component === component &&
    (sha256 === undefined || loras[i].sha256 === sha256);
  if (asked.length === loras.length && asked.every(isMerged)) return;
  const count = (n: number): string => (n === 0 ? 'no LoRA' : n === 1 ? 'a LoRA' : `${n} LoRAs`);
  const others = asked.length === loras.length ? ' that differs in file, scale, transformer or order' : '';
  throw new UsageError(
    `The run is with ${count(asked.length)}, and ${id} was loaded with ${count(loras.length)}${others}.`,
    {
      hint: 'Load the model with the same LoRAs, scales and order: loadModel(path, { loras }).',
    },
  );
}

/** Pixels to a side of a file. */
const MOST_ENLARGED = 32_768;

/** Refuses a scale before hours of work end in a picture that no memory and no format holds. */
function requireEnlargeable({ scale }: FullRequest, size: BatchRequest['size'] = {}): void {
  const side = Math.max(size.width ?? 0, size.height ?? 0);
  if (scale === 1 || side * scale <= MOST_ENLARGED) return;
  throw new UsageError(`A side of ${side} pixels, ${scale} times as large, is more than ${MOST_ENLARGED}.`, {
    hint: `Take a scale of at most ${Math.max(1, Math.floor(MOST_ENLARGED / side))}.`,
  });
}

/** The cache of a run, and what its receipt says of it. */
interface CacheFor {
  readonly cache: CachePolicy;
  readonly policy: Policy | undefined;
  readonly said: Receipt['policy'];
}

/** The policy of a budget of a caller's own policy; nothing where every step may be computed. */
function withBudget(
  own: Policy | CachePolicy,
  budget: Budget,
  { sigmas }: PolicyUse,
): Policy | CachePolicy | undefined {
  if (!isBudget(budget)) return own;
  if (allowsAll(budget, sigmas.length - 1)) return undefined;
  if (!('begin' in own)) return withinBudget([own], budget);
  throw new UsageError(`${own.name} is a caching method of its own, and no budget chooses it.`, {
    hint: 'Leave out forwards, speedup, psnr and guarantee.',
  });
}

async function cacheFor(
  own: DrawOptions['policy'],
  use: PolicyUse,
  choose: () => Promise<Chosen | undefined>,
): Promise<CacheFor> {
  // A method of the caller's own has no hash: whoever repeats the run has to give it again.
  if (own && 'begin' in own) return { cache: own, policy: undefined, said: { name: own.name, hash: 'custom' } };
  const chosen = own ? { policy: own } : await choose();
  if (own) requireFits(own.data, use);
  if (chosen) noteOtherLoras(chosen.policy.data, use);
  const cache = cacheOf(chosen, use);
  const isOwn = !chosen || hasLorasOf(chosen.policy.data, use);
  return {
    cache: isOwn ? cache : { ...cache, bound: noBound(cache.bound), signals: [] },
    policy: chosen?.policy,
    said: policyReceipt(chosen),
  };
}

function factsOf(
  request: FullRequest,
  { steps, guidance, size, maxSequenceLength, init: begun }: BatchRequest,
  info: PipelineInfo,
  policy: Receipt['policy'],
): RunFacts {
  const { trueCfgScale, guidance2, guidanceInterval, shift } = request;
  const {
    model,
    transformer,
    transformer2,
    prompt,
    negativePrompt,
    seed,
    init,
    embeddings,
    vaeTiling,
    variant,
    scale,
  } = request;
  return {
    tool: 'ertacache',
    version: VERSION,
    model: { id: info.id, hash: info.hash, path: model },
    ...(transformer && { transformer: { ...transformer, sha256: transformer.sha256 ?? '' } }),
    ...(transformer2 && { transformer2: { ...transformer2, sha256: transformer2.sha256 ?? '' } }),
    prompt,
    ...(negativePrompt !== undefined && { negativePrompt }),
    seed: seedJson(seed),
    steps,
    guidance,
    ...given({ trueCfgScale, guidance2, guidanceInterval, shift }),
    ...(size && { size }),
    ...(maxSequenceLength !== undefined && { maxSequenceLength }),
    ...(begun && {
      init: {
        path: init?.path ?? 'picture',
        sha256: init?.sha256 ?? sha256(toBytes(begun.image)),
        strength: begun.strength,
      },
    }),
    ...(embeddings && { embeddings: { ...embeddings, sha256: embeddings.sha256 ?? '' } }),
    ...(info.loras && { loras: [...info.loras] }),
    ...(vaeTiling && { vaeTiling }),
    ...(info.dtype && { dtype: info.dtype }),
    ...(variant !== undefined && { variant }),
    scale,
    backend: activeName(),
    ...(kernelLevel() && { kernels: kernelLevel() }),
    policy,
  };
}
