import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';
import { knownTables } from '../../src/models/known-tables';
import { describeModel } from '../../src/weights/describe';
import { openModelAt } from '../../src/weights/disk';
import { componentOf, readModelJson } from '../../src/weights/open-model';

test('the embedded model is whole: every name, shape, value and hash', async () => {
  const model = await openModelAt(join(packageRoot(), 'converted-models/fluent-emoji'));
  const description = await describeModel(model, { tableOf: knownTables });
  expect(description).toMatchObject({ kind: 'converted', tensors: 137, parameters: 5_308_480, valuesChecked: true });
  expect(description.components.map(({ name, className, dtypes }) => [name, className, dtypes])).toEqual([
    ['text', 'WordTable', { float16: 100_736 }],
    ['transformer', 'FluxTransformer2DModel', { float16: 5_207_744 }],
  ]);
  expect(componentOf(model, 'transformer').contentHash).toMatch(/^629e8ad5/);
  const paths = ['pipeline.json', 'prompts.json', 'scheduler/scheduler_config.json'];
  expect(model.files).toEqual([...paths, 'text/tokenizer_config.json', 'text/vocab.json']);
  for (const path of model.files) expect(await readModelJson(model, path)).toBeInstanceOf(Object);
  await model.close();
});
