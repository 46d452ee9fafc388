import { lastPart, memoryFolder } from '../../io/folder';
import type { LoraFile } from '../../weights/lora/adapter';
import { PEFT_WEIGHTS } from '../../weights/lora/adapter';
import type { LoraAddress } from '../types';
import { fetchBlob, fetchLatest } from './fetch-blob';
import { noStorage } from './storage';

/** What peft writes beside a LoRA. */
const PEFT_CONFIG = 'adapter_config.json';

/**
 * The LoRAs at these addresses. Receipts call them by the names of their files.
 * @throws IoError for one that is not there
 */
export function fetchLoras(loras: readonly LoraAddress[], signal: AbortSignal): Promise<LoraFile[]> {
  return Promise.all(
    loras.map(async ({ address, scale }) => {
      const file = lastPart(new URL(address).pathname);
      const files = new Map([[file, await bytesOf(await fetchBlob(address, { signal }))]]);
      if (file === PEFT_WEIGHTS) {
        const config = await fetchLatest(new URL(PEFT_CONFIG, address).href, noStorage, signal);
        if (config) files.set(PEFT_CONFIG, await bytesOf(config.blob));
      }
      return { folder: { ...memoryFolder(file, files), pathTo: path => path }, file, scale };
    }),
  );
}

const bytesOf = async (blob: Blob): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer());
