import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../../errors';
import { writeFileAtomic } from '../../io/atomic';
import { isFile, readText } from '../../io/node-file';
import { type HubFile, type HubRepository, isOutside } from './repository';

/** The mark of a download in its folder: which files it brought, in every version that it began to bring. */
const RECORD_FILE = '.ertacache-download.json';

const version = z.object({ size: z.number(), kind: z.enum(['sha256', 'git']), hex: z.string() });
const schema = z.object({
  format: z.literal('ertacache-download'),
  repository: z.string(),
  commit: z.string(),
  files: z.record(
    z.string().refine(path => !isOutside(path)),
    z.array(version),
  ),
});

export interface DownloadRecord {
  /** Paths of all files that were brought, in any version. */
  readonly paths: readonly string[];
  /** The versions of a file that were brought. */
  brought(path: string): HubFile[];
  /** Keeps on disk that this version is about to be brought. */
  note(file: HubFile): Promise<void>;
}

/** @throws UsageError when the record is not one of a download, or is that of another repository */
export async function openRecord(
  folder: string,
  { name, commit }: Pick<HubRepository, 'name' | 'commit'>,
): Promise<DownloadRecord> {
  const path = join(folder, RECORD_FILE);
  const before = (await isFile(path)) ? parse(await readText(path), path) : undefined;
  if (before && before.repository !== name) {
    throw new UsageError(`${folder} holds what was downloaded of ${before.repository}.`, {
      hint: `Give another folder for ${name} (--out), or move that one away.`,
    });
  }
  const files = before?.files ?? {};
  return {
    paths: Object.keys(files),
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

function parse(text: string, path: string): z.infer<typeof schema> {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new UsageError(`${path} is not the record of a download.`, { hint: 'Move that file away.', cause });
  }
}
