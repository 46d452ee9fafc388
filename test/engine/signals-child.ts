/** Draws on the native engine while its parent sends signals; prints how many it took. */
import { draw } from '../../src/draw/on-disk';
import { selectBackend } from '../../src/engine/select';
import { loadModel } from '../../src/pipelines/load';

async function main(): Promise<void> {
  let taken = 0;
  process.on('SIGWINCH', () => {
    taken++;
  });
  const { label } = await selectBackend('native', { threads: 1 });
  const model = await loadModel();
  let said = false;
  const { seconds } = await draw(
    { prompt: 'red heart', seed: 1, policy: 'none' },
    {
      model,
      onStep: () => {
        if (!said) console.error('drawing');
        said = true;
      },
    },
  );
  model.dispose();
  console.log(JSON.stringify({ label, taken, seconds }));
}

void main();
