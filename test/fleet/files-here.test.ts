import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { filesHere } from '../../src/fleet/files-here';
import { NAMES } from '../../src/fleet/job';
import { loraToSend, type NamedLora, type SentFile, sendFiles, weightsToSend } from '../../src/fleet/sent-files';
import { sha256 } from '../../src/io/sha256';
import { stagedName } from '../../src/io/staged';
import { scratchFolder } from '../media/pictures';
import { writeLora } from '../weights/tiny-lora';

const scratch = scratchFolder();

/** As many LoRAs as asked for, in a store. */
function sent(count: number, first = 0): { loras: NamedLora[]; stored: Map<string, Uint8Array> } {
  const stored = new Map<string, Uint8Array>();
  const loras = Array.from({ length: count }, (_, i) => {
    const bytes = Uint8Array.of(first + i);
    const hash = sha256(bytes);
    stored.set(NAMES.lora(hash), bytes);
    return { path: `lora ${first + i}.safetensors`, sha256: hash, scale: 1 };
  });
  return { loras, stored };
}

const storeOf = (stored: ReadonlyMap<string, Uint8Array>) => ({ get: async (name: string) => stored.get(name) });
const pathsOf = ({ loras }: { loras: readonly { path: string }[] }): string[] => loras.map(({ path }) => path);

/** What a store holds after these were sent. */
async function storedOf(files: readonly SentFile[]): Promise<Map<string, Uint8Array>> {
  const stored = new Map<string, Uint8Array>();
  const put = async (name: string, bytes: Uint8Array): Promise<void> => void stored.set(name, bytes);
  await sendFiles({ put } as Parameters<typeof sendFiles>[0], files);
  return stored;
}

test('a job has all of its LoRAs at hand, however many; those not used for longest go', async () => {
  const [early, many, late] = [sent(20), sent(20, 20), sent(20, 40)];
  const files = filesHere(storeOf(new Map([...early.stored, ...many.stored, ...late.stored])), scratch.path('many'));
  const first = pathsOf(await files.of({ loras: early.loras }));
  expect(first.filter(path => !existsSync(path))).toEqual([]);
  const second = pathsOf(await files.of({ loras: many.loras }));
  expect(second.filter(path => !existsSync(path))).toEqual([]);
  const third = pathsOf(await files.of({ loras: late.loras }));
  expect(third.filter(path => !existsSync(path))).toEqual([]);
  // 16 beside those of the last job.
  expect([...first, ...second, ...third].filter(path => existsSync(path)).length).toBeLessThan(60);
  await files.close();
  expect(existsSync(dirname(dirname(third[0]!)))).toBe(false);
});

test('what the store does not have is named, and so is what is named by no content', async () => {
  const files = filesHere(storeOf(new Map()), scratch.path('none'));
  const { loras } = sent(1);
  await expect(files.of({ loras })).rejects.toThrow('The LoRA lora 0.safetensors is no longer in the store.');
  const transformer = { path: 'a.gguf', sha256: sha256('a') };
  await expect(files.of({ transformer })).rejects.toThrow('The file a.gguf is no longer in the store.');
  await expect(files.of({ lpips: { path: 'a.bin', sha256: '../a' } })).rejects.toThrow('is not named by its content');
  await files.close();
});

test("a LoRA of peft keeps its settings, and a transformer's file its name and bytes", async () => {
  const folder = scratch.path('peft');
  mkdirSync(folder);
  writeLora(join(folder, 'adapter_model.safetensors'), 0.5);
  writeFileSync(join(folder, 'adapter_config.json'), '{"lora_alpha":4}');
  const lora = await loraToSend({ path: folder, scale: 2 });
  const weights = scratch.path('weights.gguf');
  writeFileSync(weights, 'values');
  const transformer = await weightsToSend(weights);
  const files = filesHere(storeOf(await storedOf([lora, transformer])), scratch.path('here'));
  const here = await files.of({ loras: [lora.named], transformer: transformer.named });
  const [path] = pathsOf(here);
  expect(readFileSync(join(dirname(path!), 'adapter_config.json'), 'utf8')).toBe('{"lora_alpha":4}');
  // The same settings are a part of what is known by that hash.
  expect((await loraToSend({ path: path! })).named.sha256).toBe(lora.named.sha256);
  expect(here.loras[0]!.scale).toBe(2);
  expect([here.transformer.path.endsWith('/weights.gguf'), readFileSync(here.transformer.path, 'utf8')]).toEqual([
    true,
    'values',
  ]);
  await files.close();
});

test('the folder of a worker that was killed goes with the next one, and that of a living one stays', async () => {
  const place = scratch.path('temporary');
  mkdirSync(place);
  const script = `
    require(${JSON.stringify(join(__dirname, '../support/typescript.cjs'))});
    const { filesHere } = require(${JSON.stringify(join(__dirname, '../../src/fleet/files-here.ts'))});
    const bytes = Uint8Array.of(0);
    const loras = [{ path: 'a.safetensors', sha256: ${JSON.stringify(sha256(Uint8Array.of(0)))} }];
    filesHere({ get: async () => bytes }, ${JSON.stringify(place)}).of({ loras }).then(() => process.stdout.write('there'));
    setInterval(() => {}, 1000);
  `;
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout!, 'data');
    return child;
  };
  const [killed, living] = [await start(), await start()];
  const [first, second] = [killed, living].map(({ pid }) => readdirSync(place).find(name => name.includes(`-${pid}-`)));
  expect([first, second]).toEqual([expect.any(String), expect.any(String)]);
  writeFileSync(join(place, 'another.partial'), 'not ours');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  const { loras, stored } = sent(1);
  const files = filesHere(storeOf(stored), place);
  await files.of({ loras });
  await files.close();
  expect(readdirSync(place).sort()).toEqual([second, 'another.partial'].sort());
  living.kill('SIGKILL');
  await once(living, 'exit');
});

test('a folder of a worker on another machine that shares the place stays', async () => {
  const place = scratch.path('shared');
  const own = stagedName(join(place, 'ertacache-weights'), 'new');
  const other = own.replace(/\.[0-9a-f]{6}-\d+-/, '.000000-1-');
  mkdirSync(other, { recursive: true });
  const files = filesHere(storeOf(new Map()), place);
  await files.close();
  expect(existsSync(other)).toBe(true);
});
