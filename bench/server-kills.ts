/**
 * Kills a server and its workers in turns, at random moments under load (pictures, or with --clips large clips), and checks that every job that was accepted is
 * completed or says why not, and that no file is half. Needs a build (`npx tsdown`) and Linux.
 *
 *   node bench/run.cjs bench/server-kills.ts [--kills 20] [--seed 1] [--backend wasm] [--clips]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { killRounds } from '../test/server/kill-rounds';
import { numbers } from '../test/weights/hub';

const { values: given } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    backend: { type: 'string', default: 'wasm' },
    clips: { type: 'boolean', default: false },
  },
});

const PICTURE = { steps: 4, policy: 'none' };
/** Of 8 frames of 1024 × 1024: making a file of them takes longer than drawing. */
const CLIPS = ['webp', 'mp4'].map(format => ({
  ...PICTURE,
  model: 'fluent-emoji-video',
  scale: 16,
  output_format: format,
}));

async function main(): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'ertacache-server-'));
  const cli = resolve(__dirname, '../dist/cli.mjs');
  const options = ['--port', '0', '--workers', '2', '--log-level', 'silent', '--data', data];
  const outcome = await killRounds({
    command: [process.execPath, cli, '--backend', given.backend, 'serve', ...options],
    data,
    kills: Number(given.kills),
    chance: numbers(Number(given.seed)),
    asked: given.clips ? CLIPS : [PICTURE],
    most: 5000,
  });
  rmSync(data, { recursive: true });
  console.log(JSON.stringify(outcome, null, 2));
  if (outcome.faults.length > 0) process.exitCode = 1;
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
