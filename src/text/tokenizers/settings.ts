import { readOptionalJson, type TokenizerFiles } from './files';
import { type AddedToken, specialTokensMap, type TokenSpec, tokenizerConfig } from './schemas';

/** Beyond this a length means "none": some files write 10³⁰. */
const NO_LIMIT = 1_000_000;

/** What `tokenizer_config.json` and `special_tokens_map.json` say, where they are there. */
export interface Settings {
  readonly bos?: TokenSpec | null | undefined;
  readonly eos?: TokenSpec | null | undefined;
  readonly pad?: TokenSpec | null | undefined;
  readonly unknown?: TokenSpec | null | undefined;
  readonly maxLength?: number | undefined;
  readonly extraIds?: number | null | undefined;
  readonly added: readonly AddedToken[];
}

export async function readSettings(files: TokenizerFiles): Promise<Settings> {
  const config = await readOptionalJson(files, 'tokenizer_config.json', tokenizerConfig);
  const map = await readOptionalJson(files, 'special_tokens_map.json', specialTokensMap);
  const length = config?.model_max_length;
  return {
    bos: config?.bos_token ?? map?.bos_token,
    eos: config?.eos_token ?? map?.eos_token,
    pad: config?.pad_token ?? map?.pad_token,
    unknown: config?.unk_token ?? map?.unk_token,
    ...(length && length < NO_LIMIT && { maxLength: length }),
    extraIds: config?.extra_ids,
    added: Object.entries(config?.added_tokens_decoder ?? {}).map(([id, token]) => ({ ...token, id: Number(id) })),
  };
}

export function tokenName(spec: TokenSpec | null | undefined): string | undefined {
  return typeof spec === 'string' ? spec : spec?.content;
}
