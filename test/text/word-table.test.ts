import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { createWordTable, embedWords, wordTableConfig } from '../../src/text/word-table';
import { describeOnBackends } from '../support/backends';

const config = { max_length: 4, pad_id: 0, null_id: 2, pattern: "[a-z0-9']+", stop_words: ['with', 'the'] };
const table = createWordTable(config, { red: 3, heart: 4, lion: 5, "king's": 6, constructor: 7 });

describe('the word table', () => {
  test.each([
    ['red heart', [3, 4, 0, 0]],
    ['RED, Heart!', [3, 4, 0, 0]],
    ['the red heart with the lion', [3, 4, 5, 0]],
    ["king's lion", [6, 5, 0, 0]],
    ['lion lion lion lion lion', [5, 5, 5, 5]],
    ['constructor', [7, 0, 0, 0]],
  ])('%j becomes %j', (prompt, ids) => {
    expect(table.encode(prompt)).toMatchObject({ ids, unknown: [] });
  });

  test.each(['', '   ', '!?', 'the', 'zzz'])('%j, of which no word is known, becomes the null prompt', prompt => {
    expect(table.encode(prompt).ids).toEqual([2, 0, 0, 0]);
  });

  test('names the words that it does not know, and leaves them out', () => {
    expect(table.encode('red toString dragon lion')).toEqual({
      ids: [3, 5, 0, 0],
      unknown: ['tostring', 'dragon'],
      dropped: [],
    });
  });

  test.each([
    ['сердце', [2, 0, 0, 0], ['сердце']],
    ['日本語 red', [3, 0, 0, 0], ['日本語']],
    ['red coração lion', [3, 5, 0, 0], ['coração']],
    ['dragon Ω🙂', [2, 0, 0, 0], ['dragon', 'ω']],
  ])('%j: names whole words in letters that it does not have', (prompt, ids, unknown) => {
    expect(table.encode(prompt)).toMatchObject({ ids, unknown });
  });

  test('cuts a long prompt before it drops unknown words, as the training captions were cut', () => {
    expect(table.encode('a b c red heart lion').ids).toEqual([3, 0, 0, 0]);
  });

  test.each(['(a+)+$', '[z-a]+', '.*', '[a-z]+[0-9]*', ''])('the pattern %j from its file is refused', pattern => {
    expect(wordTableConfig.safeParse({ ...config, pattern }).error?.issues[0]?.path).toEqual(['pattern']);
  });

  test('gives as many ids as the model takes, all of the table, whatever the prompt', () => {
    fc.assert(
      fc.property(fc.string(), prompt => {
        const { ids } = table.encode(prompt);
        expect(ids).toHaveLength(4);
        expect(ids.every(id => [0, 2, 3, 4, 5, 6, 7].includes(id))).toBe(true);
      }),
    );
  });
});

describeOnBackends('embedded words', () => {
  test('are rows of the table, padding included, and their mean is over the words alone', () => {
    const rows = tf.tensor2d([
      [100, 100],
      [1, 2],
      [3, 6],
    ]);
    const before = tf.memory().numTensors;
    const { states, pooled } = embedWords(
      rows,
      [
        [1, 2, 0],
        [2, 0, 0],
      ],
      0,
    );
    expect(states.shape).toEqual([2, 3, 2]);
    expect([...states.dataSync()]).toEqual([1, 2, 3, 6, 100, 100, 3, 6, 100, 100, 100, 100]);
    expect([...pooled.dataSync()]).toEqual([2, 4, 3, 6]);
    tf.dispose([states, pooled]);
    expect(tf.memory().numTensors).toBe(before);
    rows.dispose();
  });
});
