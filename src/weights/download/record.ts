import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../../errors';
import { writeFileAtomic } from '../../io/atomic';
import { isFile, readText } from '../../io/node-file';
import type { HubFile, HubRepository } from './repository';

/** The mark of a download in its folder: which files it brought, in every version that it began to bring. */
const RECORD_FILE = '.ertacache-download.json';

const version = z.object({ size: z.number(), kind: z.enum(['sha256', 'git']), hex: z.string() });
const schema = z.object({
  format: z.literal('ertacache-download'),
  repository: z.string(),
  commit: z.string(),
  files: z.record(z.string(), z.array(version)),
});

export interface DownloadRecord {
  /** The versions of a file that were brought. */
  brought(path: string): HubFile[];
  /** Keeps on disk that this version is about to be brought. */
  note(file: HubFile): Promise<void>;
}

/** @throws UsageError when the record is not one of a download */
export async function openRecord(
  folder: string,
  { name, commit }: Pick<HubRepository, 'name' | 'commit'>,
): Promise<DownloadRecord> {
  const path = join(folder, RECORD_FILE);
  const files = (await isFile(path)) ? parse(await readText(path), path) : {};
  return {
    brought: of => (files[of] ?? []).map(({ size, kind, hex }) => ({ path: of, size, digest: { kind, hex } })),
    async note({ path: of, size, digest }) {
      const versions = files[of] ?? [];
      if (versions.some(v => v.hex === digest.hex)) return;
      files[of] = [...versions, { size, ...digest }];
      const record = { format: 'ertacache-download', repository: name, commit, files };
      await writeFileAtomic(path, `${JSON.stringify(record, null, 1)}\n`);
    },
  };
}

function parse(text: string, path: string): z.infer<typeof schema>['files'] {
  try {
    return schema.parse(JSON.parse(text)).files;
  } catch (cause) {
    throw new UsageError(`${path} is not the record of a download.`, { hint: 'Move that file away.', cause });
  }
}
