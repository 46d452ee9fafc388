import type { FileFormat, Result } from 'ertacache/browser';
import { useEffect, useState } from 'preact/hooks';
import { encode, writesMp4 } from '../engine/engine';
import { FilmIcon, SaveIcon } from './icons';
import { fileStem, saveFile } from './saving';

interface SavePictureProps {
  readonly result: Result | undefined;
  readonly prompt: string;
  readonly seed: number;
}

/** Saves a drawing as a file that holds how it was made; clips also as MP4, where the browser writes that. */
export function SavePicture({ result, prompt, seed }: SavePictureProps) {
  const [failed, setFailed] = useState<string | undefined>(undefined);
  const [canMp4, setCanMp4] = useState(false);
  const isClip = result?.media.shape.length === 4;
  useEffect(() => {
    if (isClip) writesMp4().then(setCanMp4, () => {});
  }, [isClip]);
  const save = async (format?: FileFormat): Promise<void> => {
    if (!result) return;
    try {
      const { bytes, extension, type } = await encode(result, format);
      saveFile(`${fileStem(prompt, seed)}${extension}`, bytes, type);
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <span class="saves">
      {isClip && canMp4 && (
        <button
          type="button"
          class="quiet round"
          aria-label="Save as MP4"
          title={failed ?? 'Save as MP4, which loses a little and plays everywhere'}
          onClick={() => save('mp4')}
        >
          <FilmIcon />
        </button>
      )}
      <button
        type="button"
        class="quiet round"
        aria-label="Save the file"
        title={failed ?? 'Save, with how it was made inside'}
        disabled={!result}
        onClick={() => save()}
      >
        <SaveIcon />
      </button>
    </span>
  );
}
