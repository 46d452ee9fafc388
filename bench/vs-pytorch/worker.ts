import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

/** A Python that runs the reference, one request after the other. */
export interface Reference {
  ask<T = Record<string, unknown>>(request: Record<string, unknown>): Promise<T>;
  close(): void;
}

const NEEDS = 'It needs torch, safetensors and diffusers: pip install torch safetensors diffusers transformers.';

/** @throws Error that says what this Python lacks */
export function startReference(python: string): Reference {
  const child: ChildProcess = spawn(python, [join(__dirname, 'reference.py')], { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines: Interface = createInterface({ input: child.stdout! });
  const answers = lines[Symbol.asyncIterator]();
  let said = '';
  child.stderr!.on('data', chunk => {
    said = `${said}${chunk}`.slice(-2000);
  });
  const failed = new Promise<never>((_, reject) => {
    child.on('error', () => reject(new Error(`There is no ${python}. ${NEEDS}`)));
    child.on('exit', code => {
      const last = said.trim().split('\n').at(-1) ?? '';
      reject(new Error(`${python} ended with code ${code}: ${last}. ${NEEDS}`));
    });
  });
  failed.catch(() => {});
  return {
    async ask(request) {
      child.stdin!.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await Promise.race([answers.next(), failed]);
      if (done) return failed;
      const answer = JSON.parse(value);
      if (answer.error) throw new Error(`PyTorch: ${answer.error}. ${NEEDS}`);
      return answer;
    },
    close: () => child.stdin!.end(),
  };
}
