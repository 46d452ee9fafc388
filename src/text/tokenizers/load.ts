import { CheckpointError, UnsupportedError } from '../../errors';
import { readJson, type TokenizerFiles } from './files';
import { anyKind } from './schemas';
import { unigramFromJson, unigramFromSentencePiece } from './t5';
import type { Tokenizer } from './tokenizer';

/**
 * The tokenizer of a pipeline's folder, by what the folder holds: `tokenizer.json` of either kind, or
 * `spiece.model` (T5, UMT5), or `vocab.json` and `merges.txt` (CLIP).
 * @example await loadTokenizer(modelFiles(model, 'tokenizer_2'))
 * @throws CheckpointError when a file is missing or broken, UnsupportedError for another kind of tokenizer
 */
export async function loadTokenizer(files: TokenizerFiles): Promise<Tokenizer> {
  if (files.has('tokenizer.json')) {
    const json = await readJson(files, 'tokenizer.json', anyKind);
    if (json.model.type === 'Unigram') return unigramFromJson(files, json);
    if (json.model.type === 'BPE') return (await import('./clip')).clipFromJson(files, json);
    throw new UnsupportedError(`${files.where} holds a tokenizer of the kind ${json.model.type}.`, {
      hint: 'ertacache reads the tokenizers of CLIP (BPE), T5 and UMT5 (Unigram).',
    });
  }
  if (files.has('spiece.model')) return unigramFromSentencePiece(files);
  if (files.has('vocab.json') && files.has('merges.txt')) return (await import('./clip')).clipFromVocabulary(files);
  throw new CheckpointError('missing_config', `${files.where} holds no tokenizer.`, {
    hint: 'Download tokenizer.json, or spiece.model, or vocab.json and merges.txt into it.',
  });
}
