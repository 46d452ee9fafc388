import { useState } from 'preact/hooks';
import { encode } from '../engine/engine';
import type { Order } from '../engine/types';
import type { Drawing } from '../state/painter';
import { SaveIcon } from './icons';
import { fileStem, saveFile } from './saving';

interface SavePictureProps {
  readonly drawing: Drawing;
  readonly order: Order;
}

/** Saves a drawing as a file that holds how it was made. */
export function SavePicture({ drawing: { result }, order }: SavePictureProps) {
  const [failed, setFailed] = useState<string | undefined>(undefined);
  return (
    <button
      type="button"
      class="quiet round"
      aria-label="Save the file"
      title={failed ?? 'Save, with how it was made inside'}
      disabled={!result}
      onClick={async () => {
        if (!result) return;
        try {
          const { bytes, extension, type } = await encode(result);
          saveFile(`${fileStem(order.prompt, order.seed)}${extension}`, bytes, type);
        } catch (error) {
          setFailed(error instanceof Error ? error.message : String(error));
        }
      }}
    >
      <SaveIcon />
    </button>
  );
}
