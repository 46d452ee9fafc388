import ndarray from 'ndarray';
import { writeFileAtomic } from '../../io/atomic';
import { isFile, openFile } from '../../io/node-file';
import { dense, type Media } from '../../media/pixels';
import { readPolicy, writePolicy } from '../../policy/file';
import { encodeSafetensors, type TensorToWrite } from '../../weights/encode-safetensors';
import { safetensorsSource } from '../../weights/safetensors-source';
import { floatsName } from './names';
import { writeDifference, writeStill } from './pictures';
import type { Store } from './store';

/** What a comparison keeps beside its JSON, as files of its folder. */
export function diskFiles(path: (name: string) => string): Omit<Store, 'comparison' | 'continued' | 'save' | 'finish'> {
  return {
    hasPixels: batch => isFile(path(floatsName(batch))),
    keepPixels: (batch, media) => writeFileAtomic(path(floatsName(batch)), encodeMedia(media)),
    pixels: batch => readMedia(path(floatsName(batch))),
    keepPicture: (name, media) => writeStill(path(name), media),
    keepDifference: (name, reference, media) => writeDifference(path(name), reference, media),
    keepFile: (name, bytes) => writeFileAtomic(path(name), bytes),
    policy: async name => ((await isFile(path(name))) ? readPolicy(path(name)) : undefined),
    async keepPolicy(name, policy) {
      await writePolicy(path(name), policy);
      // As a run that was cut here would have it: the file holds fewer digits.
      return readPolicy(path(name));
    },
  };
}

function encodeMedia(media: readonly Media[]): Uint8Array {
  const entries = media.map((m, i): [string, TensorToWrite] => {
    return [String(i), { dtype: 'F32', shape: m.shape, data: dense(m) }];
  });
  return encodeSafetensors(new Map(entries));
}

async function readMedia(path: string): Promise<Media[]> {
  const source = await safetensorsSource(await openFile(path));
  try {
    const media: Media[] = [];
    for (const index of source.names.keys()) {
      const name = String(index);
      media.push(ndarray(await source.read(name), [...source.entry(name).shape]));
    }
    return media;
  } finally {
    await source.close();
  }
}
