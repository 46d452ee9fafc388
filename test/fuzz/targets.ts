import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { promptsIn } from '../../src/cli/prompts';
import { parseReceipt, requestOf } from '../../src/draw/receipt';
import { parseRequest } from '../../src/draw/request';
import { memoryFile } from '../../src/io/byte-file';
import { decodeText } from '../../src/io/decode-text';
import { memoryFolder } from '../../src/io/folder';
import { packageRoot } from '../../src/io/package-root';
import { readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { receiptFromXmp, timingFromXmp, toXmp } from '../../src/media/xmp';
import { families } from '../../src/models/families';
import { knownTables } from '../../src/models/known-tables';
import { requireLoras } from '../../src/models/loras';
import { deserializePolicy } from '../../src/policy/bytes';
import { decodeRectification } from '../../src/policy/coefficients';
import { parsePolicy } from '../../src/policy/data';
import { hubScheduler } from '../../src/sampling/schedule';
import { folderFiles } from '../../src/text/tokenizers/files';
import { loadTokenizer } from '../../src/text/tokenizers/load';
import { describeModel } from '../../src/weights/describe';
import { neededFiles } from '../../src/weights/download/needed';
import { listRepository } from '../../src/weights/download/repository';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { ggufSource } from '../../src/weights/gguf-source';
import { peftSettings } from '../../src/weights/lora/peft';
import { parseManifest } from '../../src/weights/manifest';
import { parseConfigJson } from '../../src/weights/model-config';
import { openModel } from '../../src/weights/open-model';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import { withScales } from '../../src/weights/scales';
import { parseShardIndex } from '../../src/weights/shard-index';
import { type HubAnswers, hubThatSays } from './hub';
import { brokenBytes, brokenJson, brokenJsonFile, brokenText } from './mutate';

/** Something that takes input from outside. */
export interface Target {
  readonly name: string;
  /** Broken inputs, made of a sound one. */
  readonly inputs: fc.Arbitrary<unknown>;
  /** May throw what the library throws on purpose, and nothing else. */
  run(input: never): unknown;
  /** Sound input, which must pass. */
  readonly sound: unknown;
  /** How many times as long as usual one input takes; so many fewer are tried. */
  readonly cost?: number;
}

const fixtures = join(__dirname, '../fixtures');
const read = (...path: string[]): Uint8Array => new Uint8Array(readFileSync(join(fixtures, ...path)));
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function target<T>(name: string, sound: T, inputs: fc.Arbitrary<T>, run: (input: T) => unknown): Target {
  return { name, sound, inputs, run: run as Target['run'] };
}

/** Every file of a small folder. */
function filesIn(folder: string): Map<string, Uint8Array> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  return new Map(
    entries.map(entry => {
      const full = join(entry.parentPath, entry.name);
      return [relative(folder, full), new Uint8Array(readFileSync(full))] as const;
    }),
  );
}

/** A folder of which one file, or another, is broken. */
function brokenFolder(files: ReadonlyMap<string, Uint8Array>, named: RegExp): fc.Arbitrary<Map<string, Uint8Array>> {
  const some = [...files.keys()].filter(name => named.test(name));
  return fc.oneof(
    ...some.map(name => {
      const bytes = files.get(name)!;
      const broken = name.endsWith('.json') ? brokenJsonFile(JSON.parse(text(bytes))) : brokenBytes(bytes);
      return broken.map(changed => new Map([...files, [name, changed]]));
    }),
  );
}

const shipped = (name: string): string => join(packageRoot(), 'calibration', name);
const policyText = readFileSync(shipped('fluent-emoji-30steps-g3-15.json'), 'utf8');
const coefficients = new Uint8Array(readFileSync(shipped('fluent-emoji-30steps-g3-15.safetensors')));
const policyData = parsePolicy(JSON.parse(policyText), 'policy.json');

const RECEIPT = {
  tool: 'ertacache',
  version: '0.1.0',
  model: { id: 'm', hash: 'h', path: 'fluent-emoji' },
  prompt: 'red heart',
  seed: 1,
  steps: 30,
  guidance: 3,
  size: { width: 64, height: 64 },
  init: { path: 'a.png', sha256: 'f', strength: 0.5 },
  scale: 1,
  backend: 'wasm',
  policy: { name: 'ertacache', hash: 'abc' },
  schedule: '#.',
  forwards: 1,
};

const QUANTISED = { format_version: '1.0', layers: { 'blocks.0': { format: 'float8_e4m3fn' } } };
const described = new TextEncoder().encode(JSON.stringify(QUANTISED.layers['blocks.0']));
const scaled = encodeSafetensors(
  new Map<string, TensorToWrite>([
    ['a.weight', { dtype: 'F8_E4M3', shape: [2, 2], data: Uint8Array.from([1, 2, 3, 4]) }],
    ['a.scale_weight', { dtype: 'F32', shape: [1], data: Float32Array.from([0.5]) }],
    ['a.comfy_quant', { dtype: 'U8', shape: [described.length], data: described }],
    ['scaled_fp8', { dtype: 'F8_E4M3', shape: [0], data: new Uint8Array(0) }],
  ]),
);

const indexOf = (tensors: Record<string, string>): unknown => ({ metadata: { total_size: 4 }, weight_map: tensors });
const tinyPipeline = filesIn(join(fixtures, 'pipelines/flux-tiny/pipeline'));
const embedded = JSON.parse(readFileSync(join(packageRoot(), 'converted-models/fluent-emoji/model.json'), 'utf8'));
delete embedded.modelTopology;

const HUB: HubAnswers = {
  revision: Buffer.from(JSON.stringify({ sha: 'a'.repeat(40) })),
  tree: Buffer.from(
    JSON.stringify([
      { type: 'directory', path: 'text', oid: 'b'.repeat(40), size: 0 },
      { type: 'file', path: 'config.json', oid: 'c'.repeat(40), size: 512 },
      {
        ...{ type: 'file', path: 'model.safetensors', oid: 'd'.repeat(40), size: 134 },
        lfs: { oid: 'e'.repeat(64), size: 4096, pointerSize: 134 },
      },
    ]),
  ),
};
const brokenHub: fc.Arbitrary<HubAnswers> = fc.oneof(
  brokenJsonFile(JSON.parse(text(HUB.revision))).map(revision => ({ ...HUB, revision })),
  ...[1, 2, 3].map(() => brokenJsonFile(JSON.parse(text(HUB.tree))).map(tree => ({ ...HUB, tree }))),
  fc.string().map(link => ({ ...HUB, link: `<${link.replace(/[^\x20-\x7e]/g, '')}>; rel="next"` })),
);

const PROMPTS = '# a list\nred heart\n\\#1 mug\n#1 mug\r\n  zebra  \n\nΌΛΟΣ and İstanbul\n';

const scratch = mkdtempSync(join(tmpdir(), 'ertacache-fuzz-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** Reads a picture, or a clip with its receipt beside it, as `inspect` and `sample --from` do. */
async function readBack(name: string, bytes: Uint8Array, beside?: Uint8Array): Promise<void> {
  const path = join(scratch, name);
  writeFileSync(path, bytes);
  if (beside) writeFileSync(`${path}.json`, beside);
  parseRequest(requestOf(parseReceipt(await readReceipt(path), path)));
  if (!beside) await readMedia(path);
}

async function opened(files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const model = await openModel(memoryFolder('model', files));
  try {
    await describeModel(model, { tableOf: knownTables, values: false });
  } finally {
    await model.close();
  }
}

const lora = read('lora/flux_peft_metadata/lora.safetensors');
const loraTable = families[0].parameters(
  families[0].schema.parse(JSON.parse(text(read('lora/flux_base/config.json')))),
);
const PEFT = {
  r: 4,
  lora_alpha: 8,
  rank_pattern: {},
  alpha_pattern: { '^transformer_blocks.0.*to_q': 2 },
  use_rslora: true,
};

/** All places where the product reads what others wrote. */
export const targets: readonly Target[] = [
  target(
    'safetensors',
    read('bad/good/diffusion_pytorch_model.safetensors'),
    brokenBytes(read('bad/good/diffusion_pytorch_model.safetensors')),
    bytes => safetensorsSource(memoryFile('a.safetensors', bytes)),
  ),
  target('GGUF', read('quantized/bad_gguf/good.gguf'), brokenBytes(read('quantized/bad_gguf/good.gguf')), bytes =>
    ggufSource(memoryFile('a.gguf', bytes)),
  ),
  target('float8 with scales', scaled, brokenBytes(scaled), bytes =>
    safetensorsSource(memoryFile('a.safetensors', bytes)),
  ),
  target('how layers were quantised', QUANTISED as unknown, brokenJson(QUANTISED), described =>
    withScales(new Map(), new Map([['_quantization_metadata', JSON.stringify(described)]]), 'a.safetensors'),
  ),
  target('LoRA', lora, brokenBytes(lora), bytes =>
    requireLoras([{ folder: memoryFolder('model', new Map([['a', bytes]])), file: 'a' }], families[0], loraTable),
  ),
  target('settings of peft', JSON.stringify(PEFT), brokenJsonFile(PEFT).map(text), settings =>
    peftSettings(settings, 'adapter_config.json').factor('transformer.transformer_blocks.0.attn.to_q', 4),
  ),
  target(
    'index of shards',
    JSON.stringify(indexOf({ a: 'one.safetensors', b: 'two.safetensors' })),
    brokenJsonFile(indexOf({ a: 'one.safetensors', b: 'two.safetensors' })).map(text),
    index => parseShardIndex(index, 'model.safetensors.index.json'),
  ),
  ...families.flatMap(family => {
    const config = { ...family.presets[0]!.transformer };
    return [
      target(`config of ${family.title}`, JSON.stringify(config), brokenJsonFile(config).map(text), source => {
        const { className, config: found } = parseConfigJson(source, 'config.json');
        return knownTables(className, found);
      }),
      target(
        `scheduler of ${family.title}`,
        { ...family.presets[0]!.scheduler } as unknown,
        brokenJson(family.presets[0]!.scheduler),
        config => {
          const scheduler = hubScheduler(config, 'scheduler_config.json');
          const isFlow = family.className !== 'CogVideoXTransformer3DModel';
          return scheduler.schedule({ steps: 4, ...(isFlow && { mu: 1, height: 64, width: 64, frames: 17 }) });
        },
      ),
    ];
  }),
  target(
    'pipeline folder',
    tinyPipeline,
    brokenFolder(tinyPipeline, /model_index\.json|config\.json$|\.index\.json$/),
    opened,
  ),
  target('policy', policyText, brokenJsonFile(JSON.parse(policyText)).map(text), policy =>
    deserializePolicy(policy, async name => ({ name, bytes: coefficients }), 'policy.json'),
  ),
  target('coefficients of a policy', coefficients, brokenBytes(coefficients), bytes =>
    decodeRectification('policy.safetensors', bytes, policyData),
  ),
  target('model.json of a converted model', JSON.stringify(embedded), brokenJsonFile(embedded).map(text), manifest =>
    parseManifest(manifest, 'model.json'),
  ),
  ...Object.entries({ clip: 50, 't5-unigram': 5, 'umt5-byte-fallback': 5 }).map(([name, cost]) => {
    const files = filesIn(join(fixtures, 'tokenizers', name, 'tokenizer'));
    const reading = target(
      `tokenizer ${name}`,
      files,
      brokenFolder(files, /token|vocab|merges|spiece|special/),
      async broken => {
        const tokenizer = await loadTokenizer(await folderFiles(memoryFolder('tokenizer', broken)));
        return tokenizer.pad('A red heart, İstanbul', 16);
      },
    );
    return { ...reading, cost };
  }),
  target('receipt', RECEIPT as unknown, brokenJson(RECEIPT), receipt =>
    parseRequest(requestOf(parseReceipt(receipt, 'a.png'))),
  ),
  target(
    'receipt in XMP',
    toXmp({ receipt: RECEIPT, frames: 3, fps: 5 }),
    brokenText(toXmp({ receipt: RECEIPT, frames: 3, fps: 5 })).map(text),
    packet => {
      timingFromXmp(packet);
      try {
        return receiptFromXmp(packet);
      } catch (error) {
        // Its caller says so in its own words.
        if (!(error instanceof SyntaxError)) throw error;
        return undefined;
      }
    },
  ),
  ...['heart.png', 'clip.webp'].map(name => {
    const bytes = read('receipts', name);
    return { ...target(`picture file ${name}`, bytes, brokenBytes(bytes), broken => readBack(name, broken)), cost: 5 };
  }),
  target(
    'receipt beside a clip',
    Buffer.from(JSON.stringify(RECEIPT)),
    brokenJsonFile(RECEIPT).map(Buffer.from),
    json => readBack('clip.gif', new Uint8Array(), json),
  ),
  target('prompts file', Buffer.from(PROMPTS), brokenText(PROMPTS).map(Buffer.from), bytes =>
    promptsIn(decodeText(bytes, 'prompts.txt'), 'prompts.txt', () => {}),
  ),
  {
    ...target('answers of a hub', HUB, brokenHub, async answers => {
      neededFiles(await listRepository('owner/model', 'main', { endpoint: await hubThatSays(answers) }));
    }),
    cost: 5,
  },
  target(
    'request',
    { prompt: 'red heart', seed: 1, steps: 4 } as unknown,
    brokenJson({ prompt: 'red heart', seed: 1, steps: 4, size: { width: 64 } }),
    request => parseRequest(request as Parameters<typeof parseRequest>[0]),
  ),
];
