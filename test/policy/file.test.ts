import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Rectification } from '../../src/cache/rectify';
import { ErtaError, IoError, PolicyError, UsageError } from '../../src/errors';
import { type Policy, type PolicyUse, policySettings, requireFits } from '../../src/policy/data';
import { readPolicy, writePolicy } from '../../src/policy/file';
import { policyHash } from '../../src/policy/hash';
import { encodeSafetensors } from '../../src/weights/encode-safetensors';

const f = Math.fround;
const forms: Record<string, Rectification> = {
  off: { form: 'off' },
  linear: { form: 'linear', channelAxis: 2, steps: [null, { K: [f(0.1)], B: [f(-2.1)] }, null, { K: [1], B: [2] }] },
  'sigmoid by channel': {
    form: 'sigmoid',
    channelAxis: 1,
    steps: [null, { K: [1, 2, 3], B: [-1, 0, 1] }, null, { K: [4, 5, 6], B: [f(0.3), 7, 8] }],
  },
  lsq: {
    form: 'lsq',
    steps: [
      null,
      { 'output.0': f(0.7), sample: f(-0.2) },
      // A computed step.
      { 'output.0': f(0.9), 'output.1': f(0.1) },
      { 'output.1': f(1.1), one: f(0.01) },
    ],
  },
};

function policyWith(rectify: Rectification): Policy {
  return {
    rectify,
    data: {
      format: 'ertacache-policy',
      version: 1,
      name: 'ertacache',
      model: { id: 'toy', hash: 'abc123', class: 'FluxTransformer2DModel' },
      scheduler: 'FlowMatchEulerDiscreteScheduler',
      guidance: 3,
      sigmas: [1, 0.75, 0.5, 0.25, 0],
      schedule: '#.#.',
      site: 'velocity',
      taylor: 0.5,
      timestep: { form: 'cycle', phi: [1, 0.5, 1, 0.25] },
      rectify: { form: rectify.form },
      search: { method: 'walk', lambda: 0.1 },
      calibration: { pairs: [{ prompt: 'red heart', seed: 9000 }], forwards: 12 },
      measured: {},
    },
  };
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ertacache-policy-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a policy file', () => {
  test('what is not a policy is not replaced', async () => {
    const path = join(folder, 'model.json');
    const weights = join(folder, 'model.safetensors');
    await writeFile(weights, encodeSafetensors(new Map()));
    await expect(writePolicy(path, policyWith(forms.lsq!))).rejects.toThrow('model.safetensors was not written by');
    expect(await readdir(folder)).toEqual(['model.safetensors']);
    await writePolicy(path, policyWith(forms.off!));
    await writeFile(path, '{"name":"package"}');
    await expect(writePolicy(path, policyWith(forms.off!))).rejects.toThrow('model.json was not written by ertacache');
    expect(await readFile(path, 'utf8')).toBe('{"name":"package"}');
  });

  test('the coefficients of a policy that was renamed are not replaced', async () => {
    await writePolicy(join(folder, 'p.json'), policyWith(forms.lsq!));
    await writePolicy(join(folder, 'p.json'), policyWith(forms.linear!));
    await rename(join(folder, 'p.json'), join(folder, 'best.json'));
    await expect(writePolicy(join(folder, 'p.json'), policyWith(forms.lsq!))).rejects.toThrow('belongs to the policy');
    expect((await readPolicy(join(folder, 'best.json'))).rectify.form).toBe('linear');
  });

  test.each(Object.entries(forms))('%s: gives back the same settings, under the same hash', async (_, rectify) => {
    const policy = policyWith(rectify);
    const path = join(folder, 'p.json');
    await writePolicy(path, policy);
    const read = await readPolicy(path);
    expect(policySettings(read)).toEqual(policySettings(policy));
    expect(policyHash(read)).toBe(policyHash(policy));
    expect((await readdir(folder)).sort()).toEqual(rectify.form === 'off' ? ['p.json'] : ['p.json', 'p.safetensors']);
  });

  test('keeps its hash under another name, and when it has been measured', async () => {
    const policy = policyWith(forms.lsq!);
    const [first, second] = [join(folder, 'a.json'), join(folder, 'sub', 'b.json')];
    await writePolicy(first, policy);
    const spread = { mean: 50, min: 40, std: 1 };
    const measured = { heldOut: { pairs: 8, psnr: spread, ssim: spread } };
    await writePolicy(second, { ...policy, data: { ...policy.data, measured } });
    expect(policyHash(await readPolicy(second))).toBe(policyHash(await readPolicy(first)));
  });

  test('has another hash when anything changes that a run depends on', () => {
    const policy = policyWith(forms.lsq!);
    const changed: Policy[] = [
      { ...policy, data: { ...policy.data, schedule: '##.#' } },
      { ...policy, data: { ...policy.data, taylor: 0 } },
      { ...policy, data: { ...policy.data, site: 'hidden' } },
      { ...policy, data: { ...policy.data, timestep: { form: 'cycle', phi: [1, 0.5, 1, 0.26] } } },
      { ...policy, rectify: forms.linear! },
      { ...policy, rectify: { form: 'lsq', steps: [null, { 'output.0': f(0.7), sample: f(-0.3) }, null, null] } },
    ];
    const hashes = [policy, ...changed].map(policyHash);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test('does not care in which order an object was put together', () => {
    const policy = policyWith(forms.off!);
    const backwards = Object.fromEntries(Object.entries(policy.data).reverse()) as unknown as Policy['data'];
    expect(policyHash({ ...policy, data: backwards })).toBe(policyHash(policy));
  });

  test('replaces an older one whole', async () => {
    const path = join(folder, 'p.json');
    await writePolicy(path, policyWith(forms.linear!));
    await writePolicy(path, policyWith(forms.lsq!));
    expect((await readPolicy(path)).rectify).toEqual(forms.lsq);
    expect((await readdir(folder)).sort()).toEqual(['p.json', 'p.safetensors']);
  });

  test.each(['policy', 'policy.txt', '.json', 'policy.json.gz'])('is not written under the name %s', async name => {
    await expect(writePolicy(join(folder, name), policyWith(forms.lsq!))).rejects.toThrow(UsageError);
    expect(await readdir(folder)).toEqual([]);
  });

  test('is not written when it could not be read back', async () => {
    const policy = policyWith(forms.lsq!);
    for (const change of [
      { guidance: Number.NaN },
      { schedule: '#' },
      { name: '' },
      { sigmas: [1, 0.5, 0.6, 0.2, 0] },
    ]) {
      const work = writePolicy(join(folder, 'p.json'), { ...policy, data: { ...policy.data, ...change } });
      await expect(work).rejects.toThrow(PolicyError);
      expect(await readdir(folder)).toEqual([]);
    }
  });

  test('leaves nothing half-written behind where its folder cannot be', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(writePolicy(join(folder, 'file', 'p.json'), policyWith(forms.lsq!))).rejects.toThrow(IoError);
    expect(await readdir(folder)).toEqual(['file']);
  });
});

/** JSON of any depth whose fields tests may set. */
type Loose = Record<string, unknown>;

describe('a broken policy file says in one sentence what is wrong', () => {
  /** Writes a good policy, lets `spoil` change it, and returns how reading it fails. */
  async function failure(rectify: Rectification, spoil: (path: string) => Promise<unknown>): Promise<ErtaError> {
    const path = join(folder, 'p.json');
    await writePolicy(path, policyWith(rectify));
    await spoil(path);
    const error = await readPolicy(path).then(
      () => Promise.reject(new Error('the policy was read')),
      (e: unknown) => e,
    );
    expect(ErtaError.isInstance(error)).toBe(true);
    expect((error as ErtaError).message).toMatch(/^[^\n]+[^.\n]\.$/);
    expect((error as ErtaError).message).toContain(folder);
    return error as ErtaError;
  }

  /** Sets fields, those of objects inside too; undefined takes a field away. */
  const merged = (json: Loose, change: Loose): Loose => {
    const isObject = (x: unknown): x is Loose => typeof x === 'object' && x !== null && !Array.isArray(x);
    const of = (key: string): unknown => {
      const [old, value] = [json[key], change[key]];
      return isObject(old) && isObject(value) ? merged(old, value) : value;
    };
    return { ...json, ...Object.fromEntries(Object.keys(change).map(key => [key, of(key)])) };
  };
  const edit = (change: Loose) => async (path: string) => {
    const json = JSON.parse(await readFile(path, 'utf8')) as Loose;
    await writeFile(path, JSON.stringify(merged(json, change)));
  };

  test.each<[string, (path: string) => Promise<unknown>, RegExp]>([
    ['no JSON', path => writeFile(path, '{"format": '), /is not JSON\.$/],
    ['an empty file', path => writeFile(path, ''), /is not JSON\.$/],
    ['JSON of another kind', path => writeFile(path, '[1, 2]'), /not a policy of ertacache: file: .*array/],
    ['null', path => writeFile(path, 'null'), /not a policy of ertacache: file: .*null/],
    ['another format', edit({ format: 'other' }), /not a policy of ertacache: format/],
    ['another version', edit({ version: 2 }), /not a policy of ertacache: version/],
    ['a schedule that begins with reuse', edit({ schedule: '.#.#' }), /schedule: must be made of # and \./],
    ['a schedule of other signs', edit({ schedule: '#x#.' }), /schedule: must be made of # and \./],
    ['a schedule too short', edit({ schedule: '#.#' }), /its schedule has 3 steps and its noise levels 4/],
    ['noise levels that rise', edit({ sigmas: [1, 0.5, 0.6, 0.2, 0] }), /its noise levels do not fall/],
    ['a noise level below zero', edit({ sigmas: [1, 0.5, 0.3, 0.2, -1] }), /sigmas\.4/],
    ['a noise level that was NaN', edit({ sigmas: [1, null, 0.3, 0.2, 0] }), /sigmas\.1: .*null/],
    ['trust for fewer steps', edit({ timestep: { phi: [1, 1] } }), /has 2 values for 4 steps/],
    ['trust above one', edit({ timestep: { phi: [1, 1.5, 1, 1] } }), /timestep\.phi\.1/],
    ['a site that there is not', edit({ site: 'attention' }), /site: /],
    ['no model', edit({ model: undefined }), /model: /],
    ['a file of coefficients elsewhere', edit({ rectify: { file: '../x.safetensors' } }), /beside/],
    ['no file of coefficients', edit({ rectify: { file: undefined } }), /does not name its file/],
    ['no hash of it', edit({ rectify: { sha256: undefined } }), /does not name its file/],
    ['a term renamed', edit({ rectify: { terms: ['one', 'output.0', 'output.1', 'simple'] } }), /no such term/],
    [
      'a term of objects',
      edit({ rectify: { terms: ['constructor', 'output.0', 'output.1', 'sample'] } }),
      /no such term/,
    ],
    ['terms reversed', edit({ rectify: { terms: ['sample', 'output.1', 'output.0', 'one'] } }), /in their order/],
    ['a term repeated', edit({ rectify: { terms: ['one', 'output.0', 'output.0', 'sample'] } }), /in their order/],
    [
      'a term of a step that was not computed yet',
      edit({ rectify: { terms: ['one', 'output.0', 'output.3', 'sample'] } }),
      /at step 3 its correction looks back 3 computed steps, and there are 1 before it/,
    ],
    ['a term of another part', edit({ rectify: { terms: ['one', 'other.0', 'output.1', 'sample'] } }), /has changed/],
    ['a schedule edited', edit({ schedule: '##.#' }), /has changed since it was written/],
    ['another strength', edit({ taylor: 0.4 }), /has changed since it was written/],
  ])('%s', async (_, spoil, message) => {
    const error = await failure(forms.lsq!, spoil);
    expect(error).toBeInstanceOf(PolicyError);
    expect(error.message).toMatch(message);
  });

  test('an edit on purpose is taken once the line of the hash is out', async () => {
    const path = join(folder, 'p.json');
    await writePolicy(path, policyWith(forms.lsq!));
    await edit({ taylor: 0.4, hash: undefined })(path);
    expect((await readPolicy(path)).data.taylor).toBe(0.4);
  });

  const coefficients = (path: string): string => path.replace('.json', '.safetensors');

  test.each<[string, (path: string) => Promise<unknown>]>([
    [
      'one byte changed',
      async path => {
        const bytes = await readFile(coefficients(path));
        bytes[bytes.length - 1]! ^= 1;
        await writeFile(coefficients(path), bytes);
      },
    ],
    ['cut short', async path => writeFile(coefficients(path), (await readFile(coefficients(path))).subarray(0, 20))],
    ['emptied', path => writeFile(coefficients(path), '')],
    [
      'of another policy',
      path =>
        writePolicy(join(folder, 'q.json'), policyWith(forms.linear!)).then(async () =>
          writeFile(coefficients(path), await readFile(join(folder, 'q.safetensors'))),
        ),
    ],
  ])('coefficients that are not its own: %s', async (_, spoil) => {
    const error = await failure(forms.lsq!, spoil);
    expect(error).toBeInstanceOf(PolicyError);
    expect(error.message).toMatch(/p\.safetensors is not the file that the policy was written with\.$/);
  });

  test('coefficients that are missing', async () => {
    const error = await failure(forms.lsq!, path => rm(coefficients(path)));
    expect(error).toBeInstanceOf(IoError);
    expect(error.message).toMatch(/p\.safetensors does not exist\.$/);
  });

  /** Other coefficients, vouched for by the policy, as a program of someone else might write them. */
  const vouched =
    (tensors: Record<string, [number[], number[]]>, change: Loose = {}) =>
    async (path: string) => {
      const bytes = encodeSafetensors(
        new Map(
          Object.entries(tensors).map(([name, [shape, data]]) => [
            name,
            { dtype: 'F32' as const, shape, data: Float32Array.from(data) },
          ]),
        ),
      );
      await writeFile(coefficients(path), bytes);
      await edit({ rectify: { sha256: createHash('sha256').update(bytes).digest('hex'), ...change } })(path);
    };
  const four = (value: number) => [value, 0, 0, 0];

  test.each<[string, Rectification, (path: string) => Promise<unknown>, RegExp]>([
    [
      'NaN',
      forms.linear!,
      vouched({ K: [[4, 1], four(Number.NaN)], B: [[4, 1], four(0)] }),
      /K has values that are not finite/,
    ],
    [
      'infinity',
      forms.linear!,
      vouched({ K: [[4, 1], four(0)], B: [[4, 1], four(Number.POSITIVE_INFINITY)] }),
      /B has values that are not finite/,
    ],
    [
      'another number of steps',
      forms.linear!,
      vouched({ K: [[2, 2], four(0)], B: [[2, 2], four(0)] }),
      /K has shape \[2,2\] where the policy needs 4 steps/,
    ],
    [
      'K and B of different channels',
      forms.linear!,
      vouched({
        K: [[4, 1], four(0)],
        B: [
          [4, 2],
          [...four(0), ...four(0)],
        ],
      }),
      /B has shape \[4,2\] where the policy needs \[4,1\]/,
    ],
    ['one axis', forms.linear!, vouched({ K: [[4], four(0)], B: [[4], four(0)] }), /K has shape \[4\]/],
    ['no B', forms.linear!, vouched({ K: [[4, 1], four(0)] }), /holds no coefficients called B/],
    [
      'another form',
      forms.lsq!,
      vouched({ K: [[4, 1], four(0)], B: [[4, 1], four(0)] }),
      /holds no coefficients called weights/,
    ],
    [
      'fewer columns than terms',
      forms.lsq!,
      vouched({ weights: [[4, 1], four(0)] }),
      /weights has shape \[4,1\] where the policy needs \[4,4\]/,
    ],
    [
      'terms that were taken out',
      forms.lsq!,
      vouched({ weights: [[4, 4], Array(16).fill(0)] }, { terms: undefined }),
      /weights has shape \[4,4\]/,
    ],
  ])('coefficients with %s', async (_, rectify, spoil, message) => {
    const error = await failure(rectify, spoil);
    expect(error).toBeInstanceOf(PolicyError);
    expect(error.message).toMatch(message);
  });

  test('a policy that is not there, and one that is a folder', async () => {
    await expect(readPolicy(join(folder, 'none.json'))).rejects.toThrow(/none\.json does not exist\.$/);
    await expect(readPolicy(folder)).rejects.toThrow(/is not a file\.$/);
  });
});

describe('a policy is refused for a run that it was not calibrated for', () => {
  const { data } = policyWith({ form: 'off' });
  const use: PolicyUse = {
    model: { id: 'toy', hash: 'abc123' },
    scheduler: 'FlowMatchEulerDiscreteScheduler',
    guidance: 3,
    sigmas: data.sigmas,
  };

  test('and taken for the one that it was', () => {
    expect(() => requireFits(data, use)).not.toThrow();
    // float32 and float64 noise levels of one schedule are the same schedule.
    expect(() => requireFits(data, { ...use, sigmas: data.sigmas.map(s => s - 1e-6) })).not.toThrow();
    // A folder's name is not the model.
    expect(() => requireFits(data, { ...use, model: { id: 'renamed', hash: 'abc123' } })).not.toThrow();
  });

  test.each<[string, Partial<PolicyUse>, string, string]>([
    [
      'another model',
      { model: { id: 'other', hash: 'fff' } },
      'for the model "toy" (abc123), not for "other" (fff)',
      'calibrate',
    ],
    [
      'another sampler',
      { scheduler: 'UniPCMultistepScheduler' },
      'and this run uses UniPCMultistepScheduler',
      'calibrate',
    ],
    ['other steps', { sigmas: [1, 0.8, 0.6, 0.4, 0.2, 0] }, 'is for 4 steps, and this run has 5', '--steps 4'],
    ['another shift', { sigmas: [1, 0.9, 0.7, 0.4, 0] }, 'another noise schedule', 'calibrate'],
    ['another guidance', { guidance: 1 }, 'at guidance 3, and this run uses 1', '--guidance 3'],
  ])('%s', (_, change, message, hint) => {
    const refused = (): unknown => {
      try {
        requireFits(data, { ...use, ...change });
      } catch (error) {
        return error;
      }
      return undefined;
    };
    const error = refused();
    expect(error).toBeInstanceOf(PolicyError);
    expect((error as PolicyError).message).toContain(message);
    expect((error as PolicyError).message).toMatch(/^[^\n]+\.$/);
    expect((error as PolicyError).hint).toContain(hint);
  });
});
