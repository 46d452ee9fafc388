import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type FleetJob, NAMES } from '../../src/fleet/job';
import { loraFiles } from '../../src/fleet/loras';
import { sha256 } from '../../src/io/sha256';

/** As many LoRAs as asked for, in a store, and a job that names them. */
function jobWith(count: number, first = 0): { job: FleetJob; stored: Map<string, Uint8Array> } {
  const stored = new Map<string, Uint8Array>();
  const loras = Array.from({ length: count }, (_, i) => {
    const bytes = Uint8Array.of(first + i);
    const hash = sha256(bytes);
    stored.set(NAMES.lora(hash), bytes);
    return { path: `lora ${first + i}.safetensors`, sha256: hash, scale: 1 };
  });
  return { job: { piece: { request: { loras } } } as unknown as FleetJob, stored };
}

const pathsOf = ({ loras = [] }: { loras?: readonly { path: string }[] | undefined }): string[] =>
  loras.map(({ path }) => path);

test('a job has all of its LoRAs at hand, however many; those not used for longest go', async () => {
  const [early, many, late] = [jobWith(20), jobWith(20, 20), jobWith(20, 40)];
  const stored = new Map([...early.stored, ...many.stored, ...late.stored]);
  const files = loraFiles({ get: async name => stored.get(name) });
  const first = pathsOf(await files.of(early.job));
  expect(first.filter(path => !existsSync(path))).toEqual([]);
  const second = pathsOf(await files.of(many.job));
  expect(second.filter(path => !existsSync(path))).toEqual([]);
  const third = pathsOf(await files.of(late.job));
  expect(third.filter(path => !existsSync(path))).toEqual([]);
  // 16 beside those of the last job.
  expect([...first, ...second, ...third].filter(path => existsSync(path)).length).toBeLessThan(60);
  await files.close();
  expect(existsSync(dirname(dirname(third[0]!)))).toBe(false);
});

test('one that the store does not have is named', async () => {
  const files = loraFiles({ get: async () => undefined });
  await expect(files.of(jobWith(1).job)).rejects.toThrow('The LoRA lora 0.safetensors is no longer in the store.');
  await files.close();
});
